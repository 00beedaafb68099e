from . import offers, openapi, orders
