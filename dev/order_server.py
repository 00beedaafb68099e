"""A database of its own with phones in stock, and Odoo on it, for measuring and fuzzing orders."""

from bootstrap import DEV, ROOT, say
from services import ADDON, base_database, odoo_once, odoo_script, write_config


def prepare(postgres, database, pieces, **options):
    """Make the database afresh, with the addon and as many pieces in stock.

    :param options: more options of Odoo's configuration file
    :return: the configuration file, and what is known: `key`, `skus`
    """
    say(f"Odoo: a fresh database {database} ...")
    postgres.copy(base_database(postgres), database)
    config = write_config(DEV / f"{database}.conf", postgres, database, **options)
    odoo_once(postgres, config, DEV / f"{database}_install.log", "-i", ADDON, "--no-http")
    known = odoo_script(postgres, config, ROOT / "dev/order_data.py", DEV / f"{database}_data.log", pieces=pieces)
    return config, known


def order(reference, sku, price=199.0):
    """Return an order of one piece for a consumer of its own, in our documented form."""
    return {
        "order_id": reference,
        "created_at": "2026-11-23T09:00:00+01:00",
        "currency": "EUR",
        "shipping_address": {
            "name": f"Consumer of {reference}",
            "street": "Dorpsstraat",
            "house_number": "12",
            "postal_code": "9711 AB",
            "city": "Groningen",
            "country": "NL",
            "phone": "06 12345678",
            "email": f"{reference.lower()}@example.com",
        },
        "lines": [{"line_id": "1", "sku": sku, "quantity": 1, "price": price}],
    }
