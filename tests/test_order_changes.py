"""What iUsed tells about an order that is known: another address, other lines, a cancellation, a question."""

from odoo.tests import tagged

from .common import IusedHttpCase


@tagged("post_install", "-at_install")
class TestOrderChanges(IusedHttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.phone = cls._make_phone("PHONE", 5)
        cls.responsible = cls._new_user("responsible", "sales_team.group_sale_salesman_all_leads")
        cls.company.iused_responsible_id = cls.responsible

    def setUp(self):
        super().setUp()
        self.document = self._make_order(self.phone)
        answer = self._push(self.document)
        self.assertEqual(answer.status_code, 201, answer.text)
        self.order = self.env["sale.order"].search([("name", "=", answer.json()["external_order_id"])])

    def _moved(self, **address):
        return {**self.document, "shipping_address": {**self.document["shipping_address"], **address}}

    def _cancel(self, reference=None):
        return self._push({"order_id": reference or self.document["order_id"], "status": "cancelled"})

    def test_changed_address_before_shipping_is_taken_over(self):
        first = self.order.partner_shipping_id
        self.assertEqual(self._push(self._moved(street="Kerkstraat", city="Assen")).status_code, 200)
        self.env.invalidate_all()
        consumer = self.order.partner_shipping_id
        self.assertEqual((consumer.street, consumer.city), ("Kerkstraat 12 A", "Assen"))
        self.assertEqual(first.street, "Dorpsstraat 12 A", "the contact may be that of other orders")
        self.assertEqual(self.order.picking_ids.partner_id, consumer)
        self.assertEqual(self.order.picking_ids.move_ids.partner_id, consumer)
        self.assertFalse(self.order.picking_ids.activity_ids, "nothing is left to do by hand")

    def test_same_address_written_otherwise_changes_nothing(self):
        moved = self._moved(street="Dorpsstraat 12A", postal_code="9711ab")
        del moved["shipping_address"]["house_number"], moved["shipping_address"]["house_number_addition"]
        before = self.order.partner_shipping_id
        self.assertEqual(self._push(moved).status_code, 200)
        self.assertEqual(self.order.partner_shipping_id, before)

    def test_repeat_does_not_undo_what_a_person_changed(self):
        other = self.env["res.partner"].create({"name": "Neighbour", "company_id": self.company.id})
        self.order.partner_shipping_id = other
        self.assertEqual(self._push(self.document).status_code, 200)
        self.assertEqual(self.order.partner_shipping_id, other)

    def test_changed_address_after_shipping_409_and_activity(self):
        self._deliver(self.order)
        for _retry in range(3):
            self.assertProblem(self._push(self._moved(city="Assen")), 409)
        self.assertEqual(self.order.partner_shipping_id.city, "Groningen")
        self.assertEqual(self.order.activity_ids.user_id, self.responsible)
        self.assertEqual(len(self.order.activity_ids), 1, "one for each cause, not for each retry")
        self.assertEqual(self._push(self.document).status_code, 200, "an equal push is no conflict")

    def test_other_lines_409_and_activity(self):
        changed = {**self.document, "lines": [{**self.document["lines"][0], "quantity": 2}]}
        self.assertProblem(self._push(changed), 409)
        self.assertProblem(self._push(changed), 409)
        self.assertEqual(self.order.order_line.product_uom_qty, 1)
        self.assertEqual(len(self.order.activity_ids), 1)
        self._push(self.document)
        self.assertEqual(len(self.order.activity_ids), 1, "a repeat of the first push mends nothing")

    def test_cancellation_cancels_order_and_delivery(self):
        answer = self._cancel()
        self.assertEqual((answer.status_code, answer.json()["status"]), (200, "cancelled"), answer.text)
        self.env.invalidate_all()
        self.assertEqual((self.order.state, self.order.picking_ids.state), ("cancel", "cancel"))
        self.assertFalse(self.order.activity_ids | self.order.picking_ids.activity_ids)
        self.assertEqual(self._cancel().json(), answer.json(), "a second time is fine")

    def test_cancellation_of_a_locked_order(self):
        self.order.action_lock()
        self.assertEqual(self._cancel().status_code, 200)
        self.assertEqual(self.order.state, "cancel")

    def test_cancellation_after_shipping_409_and_activity(self):
        self._deliver(self.order)
        self.assertProblem(self._cancel(), 409)
        self.assertEqual(self.order.state, "sale")
        self.assertEqual(len(self.order.activity_ids), 1)

    def test_cancellation_of_an_unknown_order_404(self):
        self.assertProblem(self._cancel("IU-NOWHERE"), 404)

    def test_cancelled_order_pushed_again_409(self):
        self._cancel()
        self.assertProblem(self._push(self.document), 409)
        self.assertEqual(self.order.state, "cancel")

    def test_reference_in_the_url(self):
        document = self._make_order(self.phone)
        reference = document.pop("order_id")
        for method, status in (("PUT", 201), ("PATCH", 200), ("PUT", 200)):
            answer = self._call(method, f"/orders/{reference}", data=document)
            self.assertEqual((answer.status_code, answer.json()["order_id"]), (status, reference), answer.text)
        other = {**document, "order_id": "IU-OTHER"}
        self.assertProblem(self._call("PUT", f"/orders/{reference}", data=other), 422, "/order_id")
        cancelled = self._call("PATCH", f"/orders/{reference}", data={"status": "cancelled"})
        self.assertEqual(cancelled.json()["status"], "cancelled")

    def test_post_to_a_reference_405(self):
        answer = self._call("POST", f"/orders/{self.document['order_id']}", data=self.document)
        self.assertProblem(answer, 405)
        self.assertEqual(answer.headers["Allow"], "GET, HEAD, PUT, PATCH")

    def test_reference_with_a_slash(self):
        document = self._make_order(self.phone, order_id="2026/11 é")
        location = self._push(document).headers["Location"]
        self.assertEqual(location, "/iused/v1/orders/2026%2F11%20%C3%A9")
        self.assertEqual(self._call("GET", location.removeprefix("/iused/v1")).json()["order_id"], "2026/11 é")

    def test_without_a_reference_422_unless_there_is_a_key(self):
        document = self._make_order(self.phone)
        del document["order_id"]
        self.assertProblem(self._push(document), 422, "")
        first = self._push(document, Idempotency_Key='"8e03978e-40d5"')
        self.assertEqual((first.status_code, first.json()["order_id"]), (201, "key-8e03978e-40d5"), first.text)
        self.assertEqual(self._push(document, Idempotency_Key='"8e03978e-40d5"').json(), first.json())
        self.assertEqual(self._push(document, Idempotency_Key="x" * 255).status_code, 201)

    def test_reading_an_order_back(self):
        self._deliver(self.order)
        answer = self._call("GET", f"/orders/{self.document['order_id']}")
        self.assertEqual(answer.status_code, 200, answer.text)
        told = answer.json()
        [shipment] = told.pop("shipments")
        self.assertEqual(
            told,
            {
                "external_order_id": self.order.name,
                "order_id": self.document["order_id"],
                "status": "confirmed",
                "lines": [
                    {
                        "line_id": "1",
                        "sku": "PHONE",
                        "name": self.phone.display_name,
                        "quantity": 1,
                        "quantity_shipped": 1,
                        "price": 199.0,
                    }
                ],
            },
        )
        self.assertEqual(shipment["track_and_trace"], "3SABC123")
        self.assertEqual(shipment["serial_numbers"], self.order.picking_ids.move_line_ids.lot_id.mapped("name"))
        self.assertRegex(shipment["shipped_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_reading_an_unknown_or_foreign_order_404(self):
        other = self._make_company("Other refurbisher")
        for reference, key in (
            ("NOWHERE", self.key),
            ("%00", self.key),
            (self.document["order_id"], self._make_key(other)),
        ):
            self.assertProblem(self._call("GET", f"/orders/{reference}", key=key), 404)
