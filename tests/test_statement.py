"""The statement of a period, as files, and beside iUsed's own."""

import base64
import csv
import io
from decimal import Decimal

import openpyxl
from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tests.common import BaseCase

from ..tools.statement import Entry, StatementError, compare, guess_columns, read_entries, read_number, read_table
from .common import IusedCase


@tagged("post_install", "-at_install")
class TestTables(BaseCase):
    def test_numbers_of_any_locale(self):
        for text, number in (
            ("199", "199"),
            ("199.00", "199"),
            ("199,5", "199.5"),
            ("1.199,50", "1199.5"),
            ("1,199.50", "1199.5"),
            ("1.199", "1199"),
            ("1.199.000", "1199000"),
            ("0.125", "0.125"),
            ("€ 1 199,50", "1199.5"),
            ("-3,5", "-3.5"),
            ("(3.50)", "-3.5"),
            ("3,50-", "-3.5"),
            ("\u221212", "-12"),
        ):
            with self.subTest(text=text):
                self.assertEqual(read_number(text), Decimal(number))
        for text in ("", "abc", "1,2.3,4", "12a", "NaN", "1e5", "-"):
            with self.subTest(text=text):
                self.assertIsNone(read_number(text))

    def test_csv_of_any_kind(self):
        for content in (
            "Order;Prijs\nIU-1;1,5\n\n",
            '\ufeffOrder,Prijs\r\nIU-1,"1,5"\r\n',
            "Order\tPrijs\nIU-1\t1,5\n",
        ):
            with self.subTest(content=content):
                self.assertEqual(
                    [row for _number, row in read_table(content.encode())], [["Order", "Prijs"], ["IU-1", "1,5"]]
                )
        table = read_table("Käufer;Preis\nMüller;1".encode("cp1252"))
        self.assertEqual(table[1][1][0], "Müller")

    def test_workbook_keeps_imeis_and_prices(self):
        book = openpyxl.Workbook()
        book.active.append(["IMEI", "Price"])
        book.active.append([356938035643809, 123.456])
        buffer = io.BytesIO()
        book.save(buffer)
        row = read_table(buffer.getvalue())[1][1]
        self.assertEqual(row[0], "356938035643809")
        self.assertEqual(read_number(row[1]), Decimal("123.456"))

    def test_what_cannot_be_read_is_said(self):
        for content, word in (
            (b"", "empty"),
            (b"Order;Price", "empty"),
            (b"PK\x03\x04 no workbook", "broken"),
            (b"\0\1\2\n\0", "broken"),
            (b"x" * (10 * 2**20 + 1), "large"),
            (b"a;b\n" + b"1;2\n" * 100_001, "many"),
        ):
            with self.subTest(word=word), self.assertRaisesRegex(StatementError, word):
                read_table(content)

    def test_columns_are_guessed_by_their_headings(self):
        self.assertEqual(
            guess_columns(["Datum", "Bestelnummer", "IMEI", "Artikel", "Aantal", "Bedrag"]),
            {"order": "Bestelnummer", "serial": "IMEI", "sku": "Artikel", "quantity": "Aantal", "amount": "Bedrag"},
        )

    def test_entries_and_the_rows_that_are_about_no_order(self):
        table = read_table(b"Order;Price\nIU-1;1\n;Total 1\n")
        entries, others = read_entries(table, {"order": "Order", "amount": "Price", "serial": ""})
        self.assertEqual([(entry.order, entry.row) for entry in entries], [("IU-1", 2)])
        self.assertEqual(others, [3])
        with self.assertRaisesRegex(StatementError, "column: Prize"):
            read_entries(table, {"order": "Order", "amount": "Prize"})
        with self.assertRaisesRegex(StatementError, r"number: x \(row 2\)"):
            read_entries(read_table(b"Order;Price\nIU-1;x"), {"order": "Order", "amount": "Price"})

    def _compare(self, ours, theirs, names=None):
        def entries(rows):
            return [
                Entry(order, serial, "SKU", Decimal(1), Decimal(str(amount)), number)
                for number, (order, serial, amount) in enumerate(rows)
            ]

        differences, agreed = compare(entries(ours), entries(theirs), names or {})
        return [(each.kind, each.order, each.serial) for each in differences], agreed

    def test_devices_are_compared_by_serial_number(self):
        differences, agreed = self._compare(
            [("S1", "A", 10), ("S1", "B", 20), ("S2", "C", 30), ("S3", "D", 40)],
            [("iu-1", "b", 20.004), ("IU-1", "A", 11), ("IU-2", "X", 30), ("S3", "D", 40)],
            {"iu-1": "S1", "iu-2": "S2"},
        )
        self.assertEqual(agreed, 2)
        self.assertEqual(differences, [("amount", "S1", "A"), ("ours", "S2", "C"), ("theirs", "S2", "X")])

    def test_sale_and_credit_add_up(self):
        self.assertEqual(self._compare([("S1", "A", 10), ("S1", "A", -10)], []), ([], 1))
        self.assertEqual(self._compare([("S1", "A", 10)], [("S1", "A", 10), ("S1", "A", -10)])[0][0][0], "quantity")


@tagged("post_install", "-at_install")
class TestStatement(IusedCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["account.chart.template"].try_loading("nl", cls.company, install_demo=False)
        cls.phone = cls._make_phone("PHONE", 9)
        cls.accountant = cls._new_user("accountant", "account.group_account_invoice")

    def _ship_on(self, day, **kwargs):
        with freeze_time(f"2026-10-{day:02} 10:00:00"):
            return self._ship(**kwargs)

    def _open(self, **values):
        self.env.flush_all()
        values = {"since": "2026-10-01", "until": "2026-10-31", **values}
        return self.env["iused.statement.period"].with_user(self.accountant).create(values)

    def _file(self, wizard, method):
        getattr(wizard, method)()
        return base64.b64decode(wizard.file)

    def _upload(self, *rows):
        content = "\n".join([";".join(row) for row in (("Order", "IMEI", "Bedrag"), *rows)]).encode()
        with Form(self._open()) as form:
            form.theirs = base64.b64encode(content)
        form.record.action_compare()
        return form.record

    def test_statement_names_each_device_once_for_each_way(self):
        first, second = self._ship_on(3, quantity=2), self._ship_on(5)
        with freeze_time("2026-10-20 10:00:00"):
            self._return(second)
        with freeze_time("2026-11-01 10:00:00"):
            self._ship()
        self.env.flush_all()
        invoice = self.env["iused.billing"].with_company(self.company)._invoice(first.sale_id.order_line, "x")
        wizard = self._open()
        self.assertEqual((wizard.shipped, wizard.returned, wizard.amount), (3, 1, 2 * 199))
        rows = wizard._rows()
        serials = first.move_line_ids.lot_id | second.move_line_ids.lot_id
        self.assertEqual([row["serial"] for row in rows], [*sorted(serials[:2].mapped("name")), *[serials[2].name] * 2])
        self.assertEqual([row["amount"] for row in rows], [199, 199, 199, -199])
        self.assertEqual(rows[0]["reference"], first.sale_id.iused_reference)
        self.assertEqual((rows[0]["invoice"], rows[2]["invoice"]), (invoice.display_name, ""))
        self.assertEqual(str(rows[3]["returned_on"]), "2026-10-20")
        self.assertEqual(rows[0]["tracking"], "3SABC123")

    def test_fees_are_in_the_statement(self):
        fee = self.env["product.product"].create({"name": "Levy", "type": "service", "taxes_id": False})
        self.company.write({"iused_fee": "device", "iused_fee_product_id": fee.id, "iused_fee_amount": 3.5})
        self._ship_on(3, quantity=2)
        wizard = self._open()
        self.assertEqual((wizard.shipped, wizard.amount), (2, 2 * 199 - 7))

    def test_workbook_has_a_row_for_each_and_totals(self):
        self.phone.name = "=1+1"
        self._ship_on(3)
        sheet = openpyxl.load_workbook(io.BytesIO(self._file(self._open(), "action_download_workbook"))).active
        rows = list(sheet.iter_rows(values_only=True))
        self.assertEqual(rows[0][0], "iUsed's Order")
        self.assertEqual((rows[1][5], sheet.cell(2, 6).data_type), ("=1+1", "s"))
        self.assertEqual(rows[2][0], "Total")
        self.assertEqual(rows[2][list(rows[0]).index("Amount excl. VAT")], 199)

    def test_csv_is_as_the_users_spreadsheet_reads_it(self):
        self.phone.name = "=1+1"
        self._ship_on(3)
        for point, delimiter, amount in ((".", ",", "199.00"), (",", ";", "199,00")):
            self.env["res.lang"]._lang_get("en_US").decimal_point = point
            self.env.registry.clear_cache("stable")
            content = self._file(self._open(), "action_download_csv")
            self.assertTrue(content.startswith(b"\xef\xbb\xbf"))
            row = next(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=delimiter))
            values = (row["Amount excl. VAT"], row["Product"], row["Left On"])
            self.assertEqual(values, (amount, "'=1+1", "2026-10-03"))

    def test_statement_that_agrees(self):
        picking = self._ship_on(3)
        order = picking.sale_id
        wizard = self._upload((order.iused_reference, picking.move_line_ids.lot_id.name, "199,00"))
        self.assertFalse(wizard.difference_ids)
        self.assertEqual(wizard.result, "1 agree, 0 differ.")

    def test_differences_say_who_has_what_and_what_is_known(self):
        price, ours, later = self._ship_on(3), self._ship_on(4), self._ship_on(5)
        later.move_ids.sale_line_id.order_id.order_line.iused_left_at = "2026-11-02 10:00:00"
        later.move_line_ids.date = "2026-11-02 10:00:00"
        wizard = self._upload(
            (price.sale_id.iused_reference, price.move_line_ids.lot_id.name, "189,00"),
            (later.sale_id.name, later.move_line_ids.lot_id.name, "199,00"),
            ("IU-STRANGE", "1", "10"),
            ("", "", "shipping 4,50"),
        )
        found = {each.order_number: each for each in wizard.difference_ids}
        self.assertEqual(len(found), 4)
        self.assertEqual(
            (found[price.sale_id.name].kind, found[price.sale_id.name].ours, found[price.sale_id.name].theirs),
            ("amount", 199, 189),
        )
        self.assertEqual(found[ours.sale_id.name].kind, "ours")
        self.assertIn("left on 11/02/2026", found[later.sale_id.name].note)
        self.assertIn("no such order", found["IU-STRANGE"].note)
        self.assertEqual(found["IU-STRANGE"].rows, "4")
        self.assertIn("without an order number: 5", wizard.result)

    def test_columns_are_remembered(self):
        self._ship_on(3)
        content = base64.b64encode(b"Nummer;Netto\nIU-1;1")
        with Form(self._open()) as form:
            form.theirs = content
            form.column_order, form.column_amount = "Nummer", "Netto"
        form.record.action_compare()
        with Form(self._open()) as form:
            form.theirs = content
            self.assertEqual((form.column_order, form.column_amount), ("Nummer", "Netto"))

    def test_what_is_wrong_with_a_file_is_said(self):
        for content, words in ((b"PK\x03\x04", "neither a CSV file"), (b"Order;Bedrag", "no rows")):
            with self.assertRaisesRegex(UserError, words), Form(self._open()) as form:
                form.theirs = base64.b64encode(content)
        with self.assertRaisesRegex(UserError, "not a number"):
            self._upload(("IU-1", "x", "much"))

    def test_accountants_of_the_company_alone(self):
        self._ship_on(3)
        with self.assertRaises(AccessError):
            self.env["iused.statement.period"].with_user(self._new_user("plain")).create({})
        other = self._make_company("Other")
        stranger = self._new_user("stranger", "account.group_account_invoice", company=other)
        wizards = self.env["iused.statement.period"].with_user(stranger).with_context(allowed_company_ids=other.ids)
        wizard = wizards.create({"since": "2026-10-01", "until": "2026-10-31"})
        self.assertEqual(wizard.shipped, 0)
        with self.assertRaises(AccessError):
            wizards.create({"company_id": self.company.id, "since": "2026-10-01", "until": "2026-10-31"}).shipped  # noqa: B018
