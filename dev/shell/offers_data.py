"""The catalogue of dev/bench offers. Run in `odoo shell`, which gives `env` and `values`.

`values`: `offers` (the number of them) and `history` (the number of done moves). Leaves `result`: the keys, the query.
"""

from odoo import Command
from odoo.tools import SQL

PIECES = 3  # in stock of each offer


def clone(env, table, source, count, **overrides):
    """Insert copies of a row, some of whose columns are SQL expressions of `number`, from 1 to `count`."""
    env.cr.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'", [table]
    )
    columns = [name for (name,) in env.cr.fetchall()]
    names = ", ".join(f'"{name}"' for name in columns)
    expressions = ", ".join(overrides.get(name, f'source."{name}"') for name in columns)
    env.cr.execute(
        f"INSERT INTO {table} ({names}) SELECT {expressions} FROM {table} source, generate_series(1, {count}) number "
        f"WHERE source.id = {source.id}"
    )
    env.cr.execute(f"SELECT setval('{table}_id_seq', (SELECT MAX(id) FROM {table}))")


def make_catalogue(env, company, offers, history):
    """Make offers with three serial numbers each in stock, of which one in twenty has an open order line."""
    warehouse = env["stock.warehouse"].search([("company_id", "=", company.id)], limit=1)
    stock, customers = warehouse.lot_stock_id, env.ref("stock.stock_location_customers")
    phone = env["product.product"].create(
        {
            "name": "iPhone 13 128 GB Midnight (grade A)",
            "default_code": "FIRST",
            "barcode": "4006381333931",
            "type": "consu",
            "is_storable": True,
            "tracking": "serial",
            "list_price": 249,
            "standard_price": 150,
            "taxes_id": False,
            "iused_offered": True,
            "iused_purchase_price": 199,
            "iused_consumer_price": 249,
        }
    )
    lot = env["stock.lot"].create({"name": "FIRST", "product_id": phone.id, "company_id": company.id})
    env["stock.quant"]._update_available_quantity(phone, stock, 1, lot_id=lot)
    quant = env["stock.quant"].search([("product_id", "=", phone.id), ("location_id", "=", stock.id)])
    moves = env["stock.move"].create(
        [
            {
                "product_id": phone.id,
                "product_uom_qty": 1,
                "location_id": stock.id,
                "location_dest_id": customers.id,
                "picking_type_id": warehouse.out_type_id.id,
                "state": state,
            }
            for state in ("done", "confirmed")
        ]
    )
    env.flush_all()
    template = phone.product_tmpl_id
    digits = " + ".join(
        f"{3 if place % 2 else 1} * SUBSTR('871' || LPAD(number::text, 9, '0'), {place + 1}, 1)::int"
        for place in range(12)
    )
    product = f"{phone.id} + 1 + MOD(number::bigint * 7919, {offers})"
    clone(
        env,
        "product_template",
        template,
        offers,
        id=f"{template.id} + number",
        name="jsonb_build_object('en_US', 'iPhone 13 128 GB Midnight (grade A) ' || number)",
        list_price="150 + MOD(number, 900)",
        default_code="'IP13-' || LPAD(number::text, 7, '0')",
    )
    clone(
        env,
        "product_product",
        phone,
        offers,
        id=f"{phone.id} + number",
        product_tmpl_id=f"{template.id} + number",
        default_code="'IP13-' || LPAD(MOD(number::bigint * 7919, 10000019)::text, 8, '0')",
        barcode=f"'871' || LPAD(number::text, 9, '0') || MOD(10 - MOD({digits}, 10), 10)",
    )
    clone(
        env,
        "stock_lot",
        lot,
        offers * PIECES,
        id=f"{lot.id} + number",
        name="'35693' || LPAD(number::text, 10, '0')",
        product_id=product,
    )
    clone(
        env,
        "stock_quant",
        quant,
        offers * PIECES,
        id=f"{quant.id} + number",
        product_id=product,
        lot_id=f"{lot.id} + number",
    )
    done, confirmed = moves
    clone(env, "stock_move", done, history, id=f"{confirmed.id} + number", product_id=product)
    clone(env, "stock_move", confirmed, offers // 20, id=f"{confirmed.id + history} + number", product_id=product)
    phone.iused_offered = False


def make_pricelists(env, company, offers):
    """Make the pricelists of the comparison: a price of its own for every tenth product, a formula for the others."""
    templates = env["product.template"].search([], order="id desc", limit=offers)
    category = templates[:1].categ_id or env["product.category"].create({"name": "Phones"})
    lists = env["product.pricelist"].create(
        [
            {
                "name": name,
                "currency_id": company.currency_id.id,
                "company_id": company.id,
                "item_ids": [
                    Command.create({"compute_price": "percentage", "percent_price": percent}),
                    Command.create(
                        {
                            "applied_on": "2_product_category",
                            "categ_id": category.id,
                            "compute_price": "formula",
                            "price_discount": percent + 5,
                            "price_round": 1,
                            "price_surcharge": -0.01,
                        }
                    ),
                ],
            }
            for name, percent in (("iUsed purchase", 20), ("iUsed consumer", 0))
        ]
    )
    env.flush_all()
    for pricelist, price in zip(lists, (150, 900), strict=True):
        item = env["product.pricelist.item"].create(
            {
                "pricelist_id": pricelist.id,
                "applied_on": "1_product",
                "product_tmpl_id": templates[0].id,
                "compute_price": "fixed",
                "fixed_price": price,
            }
        )
        env.flush_all()
        clone(
            env,
            "product_pricelist_item",
            item,
            offers // 10,
            id=f"{item.id} + number",
            product_tmpl_id=f"{templates[0].id} - 10 * number + 10",
        )
    return lists


company = env.company  # noqa: F821 - the shell's
env.ref("base.EUR").active = True  # noqa: F821
company.write({"iused_order_policy": "confirm", "stock_move_email_validation": False})
make_catalogue(env, company, values["offers"], values["history"])  # noqa: F821
lists = make_pricelists(env, company, values["offers"])  # noqa: F821
user = company._iused_ensure_user()
company._iused_ensure_partner()
keys = env["res.users.apikeys"].sudo()  # noqa: F821
feed = env["iused.offer.feed"]  # noqa: F821
query = SQL(
    """SELECT LENGTH(JSON_AGG(offer)::text) FROM (
           SELECT sku, name, ean, stock_available, purchase_price AS price_purchase_amount,
                  consumer_price AS price_consumer_amount, 'EUR' AS currency FROM (%s) ready
       ) offer""",
    feed._ready_query(company, None, 1),
)
result = {
    "key": keys.with_user(user).sudo()._generate("iused", "bench", None),
    "admin_key": keys.with_user(env.ref("base.user_admin")).sudo()._generate(None, "bench", None),  # noqa: F821
    "query": env.cr.mogrify(query.code, query.params).decode(),  # noqa: F821
    "company": company.id,
    "pricelists": lists.ids,
}
env.cr.commit()  # noqa: F821
