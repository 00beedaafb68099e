"""Fills a database for measuring and fuzzing orders. Runs in `odoo shell`; see `order_server.prepare`."""

from stdnum import ean

PRODUCTS = 10


def make_ean(number):
    digits = f"8710000000{number:02d}"
    return digits + ean.calc_check_digit(digits)


def make_company(env):
    company = env.company
    company.write({"country_id": env.ref("base.nl").id, "stock_move_email_validation": False})
    if company.chart_template != "nl":
        env["account.chart.template"].try_loading("nl", company, install_demo=False)
    env.ref("base.EUR").active = True
    return company


def make_phones(env, company, pieces):
    """Return products with as many pieces in stock between them, each with a serial number."""
    products = env["product.product"].create(
        [
            {
                "name": f"Phone {number}",
                "default_code": f"PHONE-{number}",
                "iused_ean": make_ean(number),
                "type": "consu",
                "is_storable": True,
                "tracking": "serial",
                "iused_offered": True,
                "iused_purchase_price": 199.0,
                "iused_consumer_price": 249.0,
            }
            for number in range(PRODUCTS)
        ]
    )
    stock = env["stock.warehouse"].search([("company_id", "=", company.id)], limit=1).lot_stock_id
    lots = env["stock.lot"].create(
        [
            {"name": f"35693803{number:07d}", "product_id": products[number % PRODUCTS].id, "company_id": company.id}
            for number in range(pieces)
        ]
    )
    env["stock.quant"].create(
        [{"product_id": lot.product_id.id, "location_id": stock.id, "lot_id": lot.id, "quantity": 1} for lot in lots]
    )
    return products


def make_token(company):
    user = company._iused_ensure_user()
    company._iused_ensure_partner()
    return company.env["res.users.apikeys"].with_user(user).sudo()._generate("iused", "measuring", None)


company = make_company(env)  # noqa: F821 - the shell's
phones = make_phones(env, company, values["pieces"])  # noqa: F821
result = {"key": make_token(company), "skus": phones.mapped("default_code")}
env.cr.commit()  # noqa: F821
