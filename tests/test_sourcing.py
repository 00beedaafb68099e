from odoo.tests import BaseCase

from ..tools.sourcing import share_out

A, B, C = "A", "B", "C"


class TestSourcing(BaseCase):
    """Lines are (product, pieces), the warehouses A, B and C in the order of preference."""

    def _share(self, lines, **left):
        return share_out(lines, left, [A, B, C])

    def test_the_preferred_warehouse_that_has_all(self):
        lines = [("x", 1), ("y", 2)]
        self.assertEqual(self._share(lines, x={A: 1, B: 1}, y={A: 2, B: 9}), [{A: 1}, {A: 2}])
        self.assertEqual(self._share(lines, x={A: 1, B: 1, C: 1}, y={A: 1, B: 2, C: 2}), [{B: 1}, {B: 2}])

    def test_one_that_has_all_goes_before_several(self):
        lines = [("x", 1), ("y", 1)]
        self.assertEqual(self._share(lines, x={A: 5, C: 1}, y={B: 5, C: 1}), [{C: 1}, {C: 1}])

    def test_lines_of_one_product_share_its_pieces(self):
        lines = [("x", 1), ("x", 1)]
        self.assertEqual(self._share(lines, x={A: 1, B: 2}), [{B: 1}, {B: 1}])
        self.assertEqual(self._share(lines, x={A: 1, B: 1}), [{A: 1}, {B: 1}])

    def test_few_deliveries(self):
        lines = [("x", 1), ("y", 1), ("z", 1)]
        self.assertEqual(self._share(lines, x={A: 1, B: 1}, y={B: 1}, z={C: 1}), [{B: 1}, {B: 1}, {C: 1}])

    def test_line_that_none_has_whole_is_split(self):
        self.assertEqual(self._share([("x", 4)], x={A: 1, B: 2, C: 2}), [{B: 2, C: 2}])
        self.assertEqual(self._share([("x", 5), ("y", 1)], x={A: 3, B: 2}, y={B: 1}), [{A: 3, B: 2}, {B: 1}])

    def test_what_is_short_is_for_the_one_that_has_most(self):
        self.assertEqual(self._share([("x", 4)], x={A: 1, B: 2}), [{B: 3, A: 1}])
        self.assertEqual(self._share([("x", 1)], x={}), [{A: 1}])
        self.assertEqual(self._share([("x", 2), ("x", 1)], x={A: 1}), [{A: 2}, {A: 1}])

    def test_what_is_not_counted_comes_from_anywhere(self):
        self.assertEqual(self._share([("service", 3), ("x", 1)], x={B: 1}), [{}, {B: 1}])

    def test_what_lies_elsewhere_does_not_count(self):
        self.assertEqual(self._share([("x", 2)], x={"Z": 2, B: 1}), [{B: 2}])

    def test_without_a_warehouse(self):
        self.assertEqual(share_out([("x", 1)], {"x": {}}, []), [{}])

    def test_nothing_given_is_changed(self):
        left = {"x": {A: 1}}
        share_out([("x", 1)], left, [A])
        self.assertEqual(left, {"x": {A: 1}})
