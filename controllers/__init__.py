from . import offers, openapi, orders, share
