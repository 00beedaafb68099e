from . import offers, orders
