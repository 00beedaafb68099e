from odoo import fields, models
from odoo.tools import SQL


class IusedReturnReport(models.Model):
    """Each device that left for iUsed's consumers, and whether it came back: what is returned is compared with it."""

    _name = "iused.return.report"
    _description = "iUsed Returns Analysis"
    _auto = False
    _order = "left_on desc, id"
    _depends = {
        "iused.return": ["left_line_id", "reason_id", "returned_on", "days"],
        "product.product": ["product_tmpl_id"],
        "product.template": ["categ_id", "tracking"],
        "res.company": ["iused_grade_attribute_id"],
        "sale.order": ["iused_reference"],
        "sale.order.line": ["company_id", "order_id", "product_id"],
        "stock.location": ["usage"],
        "stock.move": ["location_id", "location_dest_id", "sale_line_id", "state"],
        "stock.move.line": ["date", "move_id", "product_id", "quantity_product_uom"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    order_id = fields.Many2one("sale.order", readonly=True)
    product_id = fields.Many2one("product.product", readonly=True)
    product_tmpl_id = fields.Many2one("product.template", "Product with All Variants", readonly=True)
    categ_id = fields.Many2one("product.category", "Category", readonly=True)
    grade_id = fields.Many2one(
        "product.attribute.value", readonly=True, help="The attribute that the settings name as the grade."
    )
    reason_id = fields.Many2one("iused.return.reason", readonly=True)
    left_on = fields.Datetime("Left", readonly=True)
    returned_on = fields.Datetime("Came Back", readonly=True)
    days = fields.Integer("Days Until It Came Back", readonly=True, aggregator="avg")
    left_pieces = fields.Integer("Devices That Left", readonly=True, aggregator="sum")
    returned_pieces = fields.Integer("Devices That Came Back", readonly=True, aggregator="sum")
    # Each row is one device: the average is the rate.
    rate = fields.Float("Return Rate (%)", readonly=True, aggregator="avg", digits=(5, 1))

    @property
    def _table_query(self):
        """Return one row for each device that left, with its return if there is one.

        What came back first is paired with what left first of the same line of a delivery.
        """
        return SQL(
            """
            SELECT line.id::bigint * 100000 + piece.number AS id,
                   sold.company_id, sold.order_id, line.product_id, product.product_tmpl_id, template.categ_id,
                   grade.id AS grade_id, line.date AS left_on,
                   back.reason_id, back.returned_on, back.days,
                   1 AS left_pieces,
                   CASE WHEN back.id IS NULL THEN 0 ELSE 1 END AS returned_pieces,
                   CASE WHEN back.id IS NULL THEN 0.0 ELSE 100.0 END AS rate
              FROM stock_move_line line
              JOIN stock_move move ON move.id = line.move_id AND move.state = 'done'
              JOIN sale_order_line sold ON sold.id = move.sale_line_id
              JOIN sale_order ordered ON ordered.id = sold.order_id AND ordered.iused_reference IS NOT NULL
              JOIN stock_location source ON source.id = move.location_id AND source.usage != 'customer'
              JOIN stock_location destination
                ON destination.id = move.location_dest_id AND destination.usage = 'customer'
              JOIN product_product product ON product.id = line.product_id
              JOIN product_template template ON template.id = product.product_tmpl_id
              JOIN res_company company ON company.id = sold.company_id
        CROSS JOIN LATERAL generate_series(1, ROUND(line.quantity_product_uom)::int) AS piece(number)
         LEFT JOIN LATERAL (
                       SELECT *, ROW_NUMBER() OVER (ORDER BY id) AS number
                         FROM iused_return
                        WHERE left_line_id = line.id
                   ) back ON back.number = piece.number
         LEFT JOIN LATERAL (
                       SELECT value.product_attribute_value_id AS id
                         FROM product_variant_combination combination
                         JOIN product_template_attribute_value value
                           ON value.id = combination.product_template_attribute_value_id
                        WHERE combination.product_product_id = line.product_id
                          AND value.attribute_id = company.iused_grade_attribute_id
                        LIMIT 1
                   ) grade ON TRUE
             -- Of a kit, what has serial numbers is a device.
             WHERE line.product_id = sold.product_id OR template.tracking = 'serial'
            """
        )
