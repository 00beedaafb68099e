"""Nothing is lost: every push leaves a row in the log, and a refused one can be processed again."""

import hashlib

from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.tests import tagged

from odoo.addons.base.tests.test_ir_cron import CronMixinCase

from ..models import iused_exchange as exchange_module
from ..models import iused_overview as overview_module
from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOrderLog(IusedHttpCase, CronMixinCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)
        cls.manager = cls._new_user("manager", "sales_team.group_sale_manager")
        cls.company.iused_responsible_id = cls.manager

    def _rows(self):
        return self.env["iused.exchange"].search([("company_id", "=", self.company.id)])

    def _unknown(self, sku="LATER", **values):
        document = self._make_order(self.phone, **values)
        document["lines"][0]["sku"] = sku
        return document

    def test_accepted_push_leaves_a_row(self):
        answer = self._push(self._make_order(self.phone), method="PUT")
        row = self._rows()
        self.assertEqual(len(row), 1)
        self.assertEqual((row.kind, row.direction, row.method), ("order", "in", "PUT"))
        self.assertEqual((row.path, row.status, row.state), ("/iused/v1/orders", 201, "accepted"))
        self.assertEqual(row.order_id.name, answer.json()["external_order_id"])
        self.assertGreater(row.duration, 0)
        self.assertIn("Dorpsstraat", row.request_body)
        self.assertIn(row.order_id.name, row.answer_body)
        self.assertIn('\n  "customer": {', row.request_pretty)

    def test_refused_push_leaves_a_row_though_its_work_is_rolled_back(self):
        partners = self.env["res.partner"].search_count([])
        answer = self._push(self._unknown())
        row = self._rows()
        self.assertEqual((row.status, row.state, row.answer_body), (422, "refused", answer.text))
        self.assertEqual(
            row.detail, f'Order {row.reference} is refused; nothing was stored. /lines/0/sku SKU "LATER" is not known.'
        )
        self.assertFalse(row.order_id)
        self.assertEqual(self.env["res.partner"].search_count([]), partners)

    def test_whatever_is_pushed_leaves_a_row(self):
        for body, content_type, status in (
            (b"{", "application/json", 400),
            (b"\xff\x00", "application/json", 400),
            (b"order_id=1", "application/x-www-form-urlencoded", 415),
            (b"<order/>", "text/xml", 415),
            (b"[]", "application/json", 422),
            (b"", "application/json", 400),
        ):
            with self.subTest(body=body):
                before = self._rows()
                answer = self._call("POST", "/orders", data=body, Content_Type=content_type)
                row = self._rows() - before
                self.assertEqual((row.status, answer.status_code), (status, status))
                expected = body.decode(errors="backslashreplace").replace("\0", "\\x00")
                self.assertEqual(row.request_body or "", expected)

    def test_reference_of_any_length_in_the_url_leaves_a_row(self):
        # Of the kind that no index of PostgreSQL would take: long, and nothing in it comes twice.
        reference = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(200))
        for method, data, status in (("GET", None, 404), ("PUT", self._make_order(self.phone), 422)):
            with self.subTest(method):
                answer = self._call(method, f"/orders/{reference}", data=data)
                self.assertEqual(answer.status_code, status)
                self.assertLess(len(answer.text), 2000)
        row = self._rows()
        self.assertEqual((row.status, row.reference), (422, f"{reference[:64]}…"))
        self.assertEqual(row.path, f"/iused/v1/orders/{reference}"[:500])
        with self.assertRaisesRegex(UserError, "longer than 64 characters"):
            row.with_user(self.manager).action_process_again()

    def test_many_faults_are_written_down_in_words_that_have_an_end(self):
        answer = self._push(self._make_order(self.phone, lines=[{"sku": "\x01" * 99, "price": "x" * 90}] * 500))
        self.assertLess(len(answer.content), 2**16)
        self.assertEqual(answer.json()["errors"][-1], {"pointer": "", "detail": "… and 1,400 more faults."})
        row = self._rows()
        self.assertEqual(row.answer_body, answer.text)
        self.assertLessEqual(len(row.detail), 10_000)
        self.assertLess(len(row.activity_ids.note), 20_000)

    def test_many_unknown_products_are_refused_in_an_answer_that_has_an_end(self):
        lines = [{"sku": str(number) + "\U0001f600" * 200, "quantity": 1} for number in range(150)]
        answer = self._push(self._make_order(self.phone, lines=lines))
        self.assertEqual(answer.status_code, 422)
        self.assertLess(len(answer.content), 2**16)
        errors = answer.json()["errors"]
        self.assertEqual(errors[-1]["detail"], f"… and {150 - len(errors) + 1} more faults.")

    def test_indents_do_not_make_a_body_a_hundred_times_as_long(self):
        prettify = self.env["iused.exchange"]._prettify
        self.assertEqual(prettify('{"a":[1,"é"]}'), '{\n  "a": [\n    1,\n    "é"\n  ]\n}')
        for text in ("[" * 100 + ",".join("0" * 50_000) + "]" * 100, "[" * 100_000, "1" * 5000, "{", ""):
            self.assertEqual(prettify(text), text)
        self.assertFalse(prettify(False))

    def test_unauthenticated_and_too_large_pushes_leave_none(self):
        self.assertEqual(self._push(self._make_order(self.phone), key="wrong").status_code, 401)
        self.assertEqual(self._push(self._make_order(self.phone, note="x" * 2**20)).status_code, 413)
        self.assertFalse(self._rows())

    def test_crash_and_give_up_leave_a_row(self):
        def crash(*_args):
            raise KeyError("inner matter")

        with self.assertLogs("odoo.http", "ERROR"):
            self.patch(self.registry["iused.order.inbox"], "_make", crash)
            self.assertProblem(self._push(self._make_order(self.phone)), 500)
        row = self._rows()
        self.assertEqual((row.status, row.state), (500, "refused"))
        self.assertNotIn("inner matter", row.answer_body)

    def test_refusal_is_answered_and_written_down_though_nobody_can_be_told(self):
        def crash(*_args, **_kwargs):
            raise KeyError("nobody there")

        self.patch(self.registry["mail.activity"], "action_notify", crash)
        with self.assertLogs("odoo.addons.sale_iused.models.iused_trouble", "ERROR"):
            self.assertProblem(self._push(self._unknown()), 422, "/lines/0/sku")
        self.assertEqual(self._rows().mapped("status"), [422])

    def test_refusal_is_answered_though_it_cannot_be_written_down(self):
        def crash(*_args, **_kwargs):
            raise KeyError("no room")

        self.patch(self.registry["iused.exchange"], "_create_push", crash)
        with self.assertLogs("odoo.addons.sale_iused.models.ir_http", "ERROR"):
            self.assertProblem(self._push(self._unknown()), 422, "/lines/0/sku")

    def test_replayed_push_leaves_one_row(self):
        make = self.registry["iused.order.inbox"]._make
        tries = []

        def lose_the_first_race(self, *args):
            order = make(self, *args)
            tries.append(order)
            if len(tries) == 1:
                raise ConcurrencyError("lost")
            return order

        self.patch(self.registry["iused.order.inbox"], "_make", lose_the_first_race)
        self.assertEqual(self._push(self._make_order(self.phone)).status_code, 201)
        self.assertEqual(len(tries), 2)
        self.assertEqual(self._rows().mapped("status"), [201])

    def test_one_activity_for_each_cause(self):
        document = self._unknown()
        for _retry in range(3):
            self._push(document)
        self._push(self._unknown())
        rows = self._rows()
        self.assertEqual(len(rows), 4)
        self.assertEqual(len(rows.activity_ids), 1, "one SKU is unknown, in however many orders")
        self.assertEqual(rows.activity_ids.user_id, self.manager)
        self.assertIn("is not known.", rows.activity_ids.note)
        self._push(self._unknown("ANOTHER"))
        self.assertEqual(len(self._rows().activity_ids), 1, "another SKU is another value, not another reason")
        without_city = self._make_order(self.phone)
        del without_city["shipping_address"]["city"]
        self._push(without_city)
        self.assertEqual(len(self._rows().activity_ids), 2)

    def test_later_success_settles_and_closes_the_activity(self):
        first, second = self._unknown(), self._unknown()
        for document in (first, first, second):
            self._push(document)
        activity = self._rows().activity_id
        self._make_phone("LATER", 2)
        self._push(first)
        self.env.invalidate_all()
        self.assertEqual(self._rows().mapped("state"), ["accepted", "refused", "settled", "settled"])
        self.assertTrue(activity.active, "the second order still waits")
        self._push(second)
        self.env.invalidate_all()
        self.assertEqual(self._rows().mapped("state"), ["accepted", "accepted", "settled", "settled", "settled"])
        self.assertFalse(activity.active)

    def test_refused_push_is_processed_again(self):
        document = self._unknown()
        self._push(document)
        row = self._rows()
        with self.assertRaisesRegex(UserError, 'SKU "LATER" is not known'):
            row.with_user(self.manager).action_process_again()
        self._make_phone("LATER", 1)
        action = row.with_user(self.manager).action_process_again()
        order = self.env["sale.order"].browse(action["res_id"])
        self.assertEqual((order.iused_reference, order.state), (document["order_id"], "sale"))
        self.assertEqual(order.create_uid, self.iused_user)
        self.assertEqual((row.state, row.order_id), ("settled", order))
        again = self._rows() - row
        self.assertEqual((again.status, again.processed_by_id, again.order_id), (201, self.manager, order))
        self.assertFalse(row.activity_ids)
        with self.assertRaises(UserError):
            row.with_user(self.manager).action_process_again()
        self.assertEqual(self._push(document).status_code, 200, "iUsed learns our number with its next try")

    def test_processing_again_keeps_the_reference_of_url_or_key(self):
        document = self._unknown()
        del document["order_id"]
        self._call("PUT", "/orders/URL-1", data=document)
        self._push(document, Idempotency_Key="abc")
        rows = self._rows()
        self.assertEqual(rows.mapped("reference"), ["key-abc", "URL-1"])
        self._make_phone("LATER", 2)
        for row in rows:
            row.with_user(self.manager).action_process_again()
        self.assertEqual(rows.order_id.mapped("iused_reference"), ["key-abc", "URL-1"])

    def test_only_sales_managers_process_again_and_read_bodies(self):
        self._push(self._unknown())
        row = self._rows()
        salesman = self._new_user("salesman", "sales_team.group_sale_salesman_all_leads")
        self.assertEqual(row.with_user(salesman).status, 422)
        for name in ("request_body", "answer_body", "request_pretty", "answer_pretty"):
            with self.assertRaises(AccessError):
                row.with_user(salesman).read([name])
            self.assertTrue(row.with_user(self.manager)[name])
        with self.assertRaises(AccessError):
            row.with_user(salesman).action_process_again()

    def test_rows_older_than_the_retention_are_deleted(self):
        self._push(self._unknown())
        self._push(self._make_order(self.phone))
        old, young = self._rows()[1], self._rows()[0]
        self.env.cr.execute(
            "UPDATE iused_exchange SET create_date = create_date - interval '91 days' WHERE id = %s", [old.id]
        )
        self.env.invalidate_all()
        self.env["iused.exchange"]._gc_exchanges()
        self.assertEqual(self._rows(), young)

    # Nonsense all day ------------------------------------------------------------------------------------------------

    def _refuse_for(self, *fields):
        """Push an order that lacks these fields of its address."""
        document = self._make_order(self.phone)
        for name in fields:
            del document["shipping_address"][name]
        return self._push(document)

    def test_long_body_is_cut_and_not_processed_again(self):
        self._push(self._unknown(remark_of_no_use="x" * 500_000))
        row = self._rows()
        self.assertLess(len(row.request_body), 70_000)
        self.assertIn("not kept", row.request_body[-40:])
        self._make_phone("LATER", 1)
        with self.assertRaisesRegex(UserError, "push it again"):
            row.with_user(self.manager).action_process_again()

    def test_body_that_was_kept_is_not_kept_again(self):
        document = self._make_order(self.phone)
        changed = {**document, "remark": "of no use"}
        for pushed in (document, document, changed, changed):
            self._push(pushed)
        bodies = self._rows().sorted("id").mapped("request_body")
        self.assertEqual([bool(body) for body in bodies], [True, False, True, False])

    def test_bodies_of_repeats_are_kept_up_to_a_limit(self):
        self.patch(exchange_module, "MOST_REPEATS", 2)
        document = self._make_order(self.phone)
        for number in range(5):
            self._push({**document, "remark": number})
        bodies = self._rows().sorted("id").mapped("request_body")
        self.assertEqual([bool(body) for body in bodies], [True, True, True, False, False])

    def test_refusal_that_was_settled_counts_all_the_same(self):
        self.patch(exchange_module, "MOST_REFUSALS", 1)
        document = self._unknown()
        self._push(document)
        self._make_phone("LATER", 2)
        self._push(document)
        self._push(self._unknown("NEVER"))
        self.assertEqual(self._rows().mapped("state"), ["accepted", "settled"])

    def test_ten_activities_and_then_one_that_says_how_many_more(self):
        self.patch(exchange_module, "MOST_ACTIVITIES", 2)
        self.patch(overview_module, "MOST_ACTIVITIES", 2)
        watch = self.env.ref("sale_iused.ir_cron_watch")
        self._refuse_for("city")
        self._refuse_for("postal_code")
        with self.capture_triggers(watch.id) as triggers:
            self._refuse_for("city", "postal_code")
            self._refuse_for("country")
        self.assertTrue(triggers.records, "somebody is told soon")
        self.assertEqual(len(self._rows().activity_ids), 2)
        troubles = self.env["iused.trouble"]
        troubles._watch(self.company)
        trouble = troubles.search([("company_id", "=", self.company.id), ("kind", "=", "many_refused")])
        self.assertEqual(len(trouble.activity_ids), 1)
        self.assertIn("2 refusals more", trouble.activity_ids.note)
        self._refuse_for("name", "country")
        troubles._watch(self.company)
        self.assertEqual(len(trouble.activity_ids), 1)
        self.assertIn("3 refusals more", trouble.activity_ids.note)
        self.assertIn("3 refusals more", str(self.env["iused.overview"].get_overview()["health"]))
        self._rows().activity_ids.action_feedback()
        troubles._watch(self.company)
        self.assertTrue(trouble.ended_at)

    def test_refusals_of_a_day_are_kept_up_to_a_limit(self):
        self.patch(exchange_module, "MOST_REFUSALS", 2)
        self.patch(overview_module, "MOST_REFUSALS", 2)
        with self.capture_triggers(self.env.ref("sale_iused.ir_cron_watch").id) as triggers:
            for _push in range(4):
                self.assertProblem(self._push(self._unknown()), 422, "/lines/0/sku")
        self.assertEqual(len(triggers.records), 1, "the trouble is told soon, and once")
        self.assertEqual(len(self._rows()), 2)
        self.assertEqual(self._push(self._make_order(self.phone)).status_code, 201, "orders are taken in all the same")
        self.env["iused.trouble"]._watch(self.company)
        troubles = self.env["iused.trouble"].search([("company_id", "=", self.company.id)])
        self.assertEqual(sorted(troubles.mapped("kind")), ["refusals_full", "refused"])
        trouble = troubles.filtered(lambda trouble: trouble.kind == "refusals_full")
        self.env.cr.execute("UPDATE iused_exchange SET create_date = create_date - interval '1 day'")
        self.env.invalidate_all()
        self.env["iused.trouble"]._watch(self.company)
        self.assertTrue(trouble.ended_at)
        self._push(self._unknown())
        self.assertEqual(len(self._rows()), 4)
