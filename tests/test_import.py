"""A catalogue of phones by Odoo's own import: new ones from a file with headings, known ones from an edited export."""

import csv
import io
import re

from odoo.modules.module import get_module_path
from odoo.tests import tagged

from .common import IusedCase

PHONES = 300
OPTIONS = {
    "has_headers": True,
    "quoting": '"',
    "separator": ",",
    "float_thousand_separator": ",",
    "float_decimal_separator": ".",
    "date_format": "",
    "datetime_format": "",
    "encoding": "utf-8",
}


@tagged("post_install", "-at_install")
class TestImport(IusedCase):
    def _import(self, model, rows, **options):
        """Import rows, of which the first holds the headings, as the web client does: match, then load.

        :return: the records, and the messages
        """
        file = io.StringIO()
        csv.writer(file).writerows(rows)
        wizard = self.env["base_import.import"].create(
            {
                "res_model": model,
                "file": file.getvalue().encode(),
                "file_type": "text/csv",
                "file_name": "phones.csv",
            }
        )
        options = {**OPTIONS, **options}
        preview = wizard.parse_preview(dict(options))
        self.assertNotIn("error", preview)
        columns = preview["headers"]
        self.assertEqual(columns, list(rows[0]))
        fields = ["/".join(preview["matches"].get(number, [])) or False for number in range(len(columns))]
        self.assertTrue(all(fields), f"a heading is not known: {dict(zip(columns, fields, strict=True))}")
        result = wizard.execute_import(fields, columns, options)
        return self.env[model].browse(result.get("ids") or []), result["messages"]

    def _read_documented_rows(self):
        """Return the rows of the file that the documents show."""
        with open(f"{get_module_path('sale_iused')}/docs/daily-work.md", encoding="utf-8") as document:
            return list(csv.reader(re.search(r"```csv\n(.*?)```", document.read(), re.DOTALL).group(1).splitlines()))

    def _make_rows(self, number):
        """Return the documented headings, and rows of so many phones."""
        headings, example = self._read_documented_rows()[:2]
        rows = []
        for position in range(number):
            row = dict(zip(headings, example, strict=True))
            row |= {
                "Name": f"Phone {position}",
                "Internal Reference": f"IMPORT-{position}",
                "Barcode": self._make_ean(),
            }
            row["iUsed Purchase Price"] = f"{100 + position / 10:.2f}"
            rows.append(list(row.values()))
        return [headings, *rows]

    def test_catalogue_is_imported_with_the_documented_headings(self):
        for model in ("product.product", "product.template"):
            with self.subTest(model=model):
                before = self.env["iused.offer.feed"]._count(self.company)
                made, messages = self._import(model, self._make_rows(PHONES))
                self.assertFalse(messages)
                self.assertEqual(len(made), PHONES)
                self.assertEqual(set(made.mapped("iused_state")), {"ready"}, set(made.mapped("iused_reasons")))
                self.assertEqual(self.env["iused.offer.feed"]._count(self.company), before + PHONES)
                self.assertEqual(made[7].iused_purchase_price, 100.7)
                made.action_iused_withdraw()

    def test_documented_rows_themselves_are_ready(self):
        made, messages = self._import("product.product", self._read_documented_rows())
        self.assertFalse(messages)
        self.assertEqual(set(made.mapped("iused_state")), {"ready"}, set(made.mapped("iused_reasons")))

    def test_decimal_comma_and_semicolon_as_spreadsheets_write_them(self):
        headings = ["Name", "Internal Reference", "iUsed Purchase Price", "iUsed Consumer Price"]
        options = {"separator": ";", "float_thousand_separator": ".", "float_decimal_separator": ","}
        rows = [";".join(headings), "Phone;COMMA-1;1.279,00;1.339,67"]
        wizard = self.env["base_import.import"].create(
            {
                "res_model": "product.product",
                "file": "\n".join(rows).encode(),
                "file_type": "text/csv",
                "file_name": "phones.csv",
            }
        )
        options = {**OPTIONS, **options}
        fields = [names[0] for names in wizard.parse_preview(dict(options))["matches"].values()]
        result = wizard.execute_import(fields, headings, options)
        phone = self.env["product.product"].browse(result["ids"])
        self.assertEqual((phone.iused_purchase_price, phone.iused_consumer_price), (1279.0, 1339.67))

    def test_edited_export_changes_the_known_products(self):
        phones = self.env["product.product"].concat(
            *(self._make_phone(f"EXPORT-{number}", iused_offered=False) for number in range(3))
        )
        for records in (phones, phones.product_tmpl_id):
            with self.subTest(model=records._name):
                columns = ["id", "default_code", "iused_offered", "iused_purchase_price", "iused_consumer_price"]
                rows = records.with_context(import_compat=True).export_data(columns)["datas"]
                count = self.env[records._name].search_count([])
                edited = [[row[0], row[1], "yes", 150 + number, 200.25] for number, row in enumerate(rows)]
                changed, messages = self._import(records._name, [columns, *edited])
                self.assertFalse(messages)
                self.assertEqual(changed, records)
                self.assertEqual(self.env[records._name].search_count([]), count, "nothing new is made")
                self.assertEqual(phones.mapped("iused_purchase_price"), [150, 151, 152])
                self.assertEqual(set(phones.mapped("iused_consumer_price")), {200.25})
                self.assertTrue(all(phones.mapped("iused_offered")))
                phones.write({"iused_offered": False, "iused_purchase_price": 1})

    def test_prices_are_imported_for_the_current_company_alone(self):
        other = self._make_company("Other refurbisher")
        self.env.user.company_ids += other
        phone = self._make_phone("SHARED", company_id=False)
        columns = ["id", "iused_purchase_price"]
        ((external_id,),) = phone.export_data(["id"])["datas"]
        self.env = self.env(context={**self.env.context, "allowed_company_ids": other.ids})
        changed, messages = self._import("product.product", [columns, [external_id, "42.5"]])
        self.assertFalse(messages)
        self.assertEqual(changed.iused_purchase_price, 42.5)
        self.assertFalse(changed.iused_offered)
        self.assertEqual(phone.with_company(self.company).iused_purchase_price, 199)

    def test_wrong_price_is_told_with_its_row_and_imports_nothing(self):
        rows = self._make_rows(2)
        rows[2][rows[0].index("iUsed Purchase Price")] = "cheap"
        made, messages = self._import("product.product", rows)
        self.assertFalse(made)
        self.assertIn("cheap", str(messages))
        self.assertFalse(self.env["product.product"].search([("default_code", "like", "IMPORT-")]))
