"""A Dutch refurbisher with phones in stock. Run in `odoo shell` by dev/run, which gives `env` and `values`.

`values`: `login` and `password` of the warehouse user, and `warehouses`, over which the phones are spread (1 unless it
says so). Leaves `result`: the access token and what was made.
"""

from stdnum import luhn

from odoo import Command

COMPANY = "Refurb Noord B.V."
#        SKU                    name                  grade  EAN              buying  consumer  pieces
PHONES = [
    ("IP13-128-MID-A", "iPhone 13 128 GB Midnight", "A", "0194252707531", 279.00, 339.67, 6),
    ("IP13-128-MID-B", "iPhone 13 128 GB Midnight", "B", "0194252707531", 249.00, 305.79, 5),
    ("IP13-128-STAR-A", "iPhone 13 128 GB Starlight", "A", "0194252707876", 279.00, 339.67, 4),
    ("IP14-128-BLK-A", "iPhone 14 128 GB Black", "A", "0194253408246", 359.00, 437.19, 5),
    ("IP14P-256-GLD-A", "iPhone 14 Pro 256 GB Gold", "A", "0194253404361", 549.00, 660.33, 3),
    ("IP12-64-WHT-C", "iPhone 12 64 GB White", "C", "0194252028940", 149.00, 189.26, 8),
    ("IPSE3-64-RED-A", "iPhone SE (2022) 64 GB Red", "A", "0194253013464", 159.00, 206.61, 4),
    ("IPSE3-64-RED-B", "iPhone SE (2022) 64 GB Red", "B", "", 139.00, 181.82, 4),
    ("GS22-128-GRN-A", "Samsung Galaxy S22 128 GB Green", "A", "8806092878679", 239.00, 297.52, 5),
    ("GS21-128-GRY-B", "Samsung Galaxy S21 5G 128 GB Grey", "B", "8806090887000", 169.00, 214.05, 6),
    ("GA54-128-BLK-A", "Samsung Galaxy A54 128 GB Black", "A", "8806094885125", 189.00, 239.67, 0),
    ("PX7-128-OBS-A", "Google Pixel 7 128 GB Obsidian", "A", "0810029937191", 229.00, 281.82, 4),
    ("PX6A-128-CHK-B", "Google Pixel 6a 128 GB Chalk", "B", "0810029935067", 159.00, 198.35, 3),
    ("FP4-256-GRN-A", "Fairphone 4 256 GB Green", "A", "8718819371915", 289.00, 346.28, 2),
]
TYPE_ALLOCATION_CODE = "35693803"


def ean(text):
    """Give a 13-digit number its right check digit: the sample numbers only look like those of the phones."""
    if not text:
        return False
    digits = [int(digit) for digit in text[:12]]
    return text[:12] + str(-(sum(digits[::2]) + 3 * sum(digits[1::2])) % 10)


def imei(number):
    stem = f"{TYPE_ALLOCATION_CODE}{number:06d}"
    return stem + luhn.calc_check_digit(stem)


def make_company(env):
    company = env.company
    company.partner_id.write(
        {
            "name": COMPANY,
            "street": "Osloweg 12",
            "zip": "9723 BK",
            "city": "Groningen",
            "country_id": env.ref("base.nl").id,
            "tz": "Europe/Amsterdam",
            "email": "info@refurb-noord.example",
            "phone": "+31501234567",
        }
    )
    if company.account_fiscal_country_id.code != "NL" or company.chart_template != "nl":
        env["account.chart.template"].try_loading("nl", company, install_demo=False)
    env.ref("base.EUR").active = True
    env.user.tz = "Europe/Amsterdam"
    return company


def make_warehouse_user(env, login, password):
    return (
        env["res.users"]
        .with_context(no_reset_password=True)
        .create(
            {
                "name": "Wietske Warehouse",
                "login": login,
                "password": password,
                "tz": "Europe/Amsterdam",
                "group_ids": [
                    Command.set(
                        [
                            env.ref("base.group_user").id,
                            env.ref("stock.group_stock_user").id,
                            # Odoo's own delivery form reads the carriers' zip prefixes.
                            env.ref("base.group_partner_manager").id,
                        ]
                    )
                ],
            }
        )
    )


def make_warehouses(env, company, number):
    """Return the company's warehouses, as many as are wanted."""
    warehouses = env["stock.warehouse"].search([("company_id", "=", company.id)])
    more = [{"name": f"Warehouse {n}", "code": f"WH{n}", "company_id": company.id} for n in range(2, number + 1)]
    return warehouses + env["stock.warehouse"].create(more)


def make_phones(env, company, warehouses):
    """Make the phones, the pieces of each in one of the warehouses."""
    number = 0
    barcodes = set()
    for place, (sku, name, grade, code, buying, consumer, pieces) in enumerate(PHONES):
        stock = warehouses[-1 - place % len(warehouses)].lot_stock_id
        code = ean(code)
        product = env["product.product"].create(
            {
                "name": f"{name} (grade {grade})",
                "default_code": sku,
                "type": "consu",
                "is_storable": True,
                "tracking": "serial",
                "list_price": consumer,
                "standard_price": round(buying * 0.8, 2),
                # Odoo wants a barcode on one product only; the second grade keeps the EAN for iUsed.
                "barcode": code if code not in barcodes else False,
                "iused_ean": code if code in barcodes else False,
                "iused_offered": True,
                "iused_purchase_price": buying,
                "iused_consumer_price": consumer,
            }
        )
        barcodes.add(code)
        for _piece in range(pieces):
            lot = env["stock.lot"].create({"name": imei(number), "product_id": product.id, "company_id": company.id})
            env["stock.quant"]._update_available_quantity(product, stock, 1, lot_id=lot)
            number += 1
    return number


def make_carrier(env):
    product = env["product.product"].create({"name": "PostNL parcel", "type": "service", "list_price": 0})
    return env["delivery.carrier"].create(
        {
            "name": "PostNL",
            "product_id": product.id,
            "delivery_type": "fixed",
            "fixed_price": 0,
            "tracking_url": "https://jouw.postnl.nl/track-and-trace/<shipmenttrackingnumber>",
        }
    )


def make_token(company):
    user = company._iused_ensure_user()
    company._iused_ensure_partner()
    keys = company.env["res.users.apikeys"].with_user(user).sudo()
    return keys._generate("iused", "iUsed access token", None)


company = make_company(env)  # noqa: F821 - the shell's
make_warehouse_user(env, values["login"], values["password"])  # noqa: F821
company.iused_carrier_id = make_carrier(env)  # noqa: F821
devices = make_phones(env, company, make_warehouses(env, company, values.get("warehouses", 1)))  # noqa: F821
env["ir.config_parameter"].set_param("sale_iused.allowed_networks", "127.0.0.0/8")  # noqa: F821 - the portal's
result = {"api_key": make_token(company), "devices": devices}
env.cr.commit()  # noqa: F821
