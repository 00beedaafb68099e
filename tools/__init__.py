"""Plain Python without Odoo: what can be read, checked and tested without a database."""

from . import countries, door, identifiers, openapi, order_payload
