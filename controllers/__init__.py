from . import door, offers, openapi, orders, share
