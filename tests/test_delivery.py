"""What follows from a try to tell iUsed something, as a table."""

from odoo.tests import BaseCase, tagged

from ..tools.delivery import (
    BLAMED,
    DOUBTS,
    FAILURES_IN_A_ROW,
    JITTER,
    RETRY_MINUTES,
    SUSPECTED,
    Consequence,
    Portal,
    decide,
    retry_seconds,
)
from ..tools.webhook import Outcome

UP, DOWN = Portal(), Portal(is_down=True, failures=1)
LAST = len(RETRY_MINUTES)
ACCEPTED = Outcome(Outcome.ACCEPTED, "HTTP 200", 200)
REFUSED = Outcome(Outcome.REFUSED, "HTTP 422", 422)
CLOSED = Outcome(Outcome.CLOSED, "HTTP 404", 404)
FORBIDDEN = Outcome(Outcome.CLOSED, "HTTP 403", 403)
NO_TOKEN = Outcome(Outcome.CLOSED, "HTTP 401", 401)
GONE = Outcome(Outcome.CLOSED, "HTTP 410", 410)
FAILED = Outcome(Outcome.RETRY, "HTTP 500", 500)
SILENT = Outcome(Outcome.RETRY, "no answer")
ASKED_TO_WAIT = Outcome(Outcome.RETRY, "HTTP 429", 429, retry_after=7200.0)


@tagged("post_install", "-at_install")
class TestDelivery(BaseCase):
    def test_state_after_a_try(self):
        for outcome, attempts, portal, expected in (
            # outcome, tries before, iUsed afterwards: state, holds, closes, is late
            (ACCEPTED, 0, UP, ("sent", False, False, False)),
            (ACCEPTED, LAST, UP, ("sent", False, False, False)),
            (REFUSED, 0, UP, ("stopped", False, False, False)),
            (CLOSED, 3, Portal(doubts=1), ("retry", False, False, False)),
            (CLOSED, 3, Portal(doubts=2), ("pending", False, True, False)),
            (FAILED, 0, UP, ("retry", False, False, False)),
            (FAILED, LAST - 1, UP, ("retry", False, False, False)),
            (FAILED, LAST, UP, ("stopped", False, False, False)),
            (FAILED, 0, DOWN, ("retry", True, False, False)),
            (SILENT, 0, DOWN, ("retry", True, False, False)),
            # That iUsed is down is no reason to give up; it is told once that it takes long.
            (SILENT, LAST, DOWN, ("retry", True, False, True)),
            (SILENT, LAST + 1, DOWN, ("retry", True, False, False)),
        ):
            with self.subTest(outcome=outcome.text, attempts=attempts, down=portal.is_down):
                then = decide(outcome, attempts, portal)
                self.assertEqual((then.state, then.holds, then.closes, then.is_late), expected)
                self.assertEqual(then.seconds is None, then.state in ("sent", "stopped"))

    def test_what_shuts_the_company_out_is_tried_first_when_it_may_send_again(self):
        self.assertEqual(
            decide(CLOSED, 3, Portal(doubts=DOUBTS)), Consequence("pending", seconds=0, closes=True, blame=BLAMED)
        )

    def test_company_is_shut_out_by_certain_answers_and_by_two_doubtful_ones(self):
        for answers, is_closed in (
            ((NO_TOKEN,), True),
            ((GONE,), True),
            ((CLOSED,), False),
            ((FORBIDDEN,), False),
            ((CLOSED, FORBIDDEN), True),
            ((CLOSED, ACCEPTED, CLOSED), False),
            ((CLOSED, REFUSED, CLOSED), False),
            # They say nothing of the address.
            ((CLOSED, FAILED, CLOSED), True),
            ((CLOSED, SILENT, CLOSED), True),
        ):
            with self.subTest(answers=[answer.text for answer in answers]):
                portal = UP
                for answer in answers:
                    portal = portal.after(answer)
                self.assertEqual(portal.is_closed, is_closed)

    def test_update_that_had_its_part_in_closing_the_company_is_set_aside(self):
        for outcome in (CLOSED, FORBIDDEN, NO_TOKEN, GONE):
            for portal in (UP, Portal(doubts=1), DOWN):
                with self.subTest(outcome=outcome.text, portal=portal):
                    after = portal.after(outcome, BLAMED)
                    self.assertEqual((after.doubts, after.is_down), (portal.doubts, portal.is_down))
                    self.assertEqual(decide(outcome, 0, portal, BLAMED), Consequence("stopped", blame=BLAMED))

    def test_blame_after_a_try(self):
        for outcome, portal, before, after in (
            (CLOSED, Portal(doubts=1), 0, SUSPECTED),
            (CLOSED, Portal(doubts=2), 0, BLAMED),
            (CLOSED, Portal(doubts=2), SUSPECTED, BLAMED),
            (NO_TOKEN, Portal(doubts=2), 0, BLAMED),
            (FAILED, UP, SUSPECTED, SUSPECTED),
            (SILENT, DOWN, BLAMED, BLAMED),
            (REFUSED, UP, 0, 0),
            (ACCEPTED, UP, BLAMED, 0),
        ):
            with self.subTest(outcome=outcome.text, portal=portal, before=before):
                self.assertEqual(decide(outcome, 0, portal, before).blame, after)

    def test_suspected_update_is_tried_again_after_the_first_pause_however_often_it_was_tried(self):
        for attempts in (0, LAST - 1):
            seconds = decide(CLOSED, attempts, Portal(doubts=1)).seconds
            self.assertTrue(60 * RETRY_MINUTES[0] <= seconds <= 60 * RETRY_MINUTES[0] * (1 + JITTER))

    def test_iused_is_down_or_up(self):
        for before, outcome, is_down in (
            (UP, ACCEPTED, False),
            (UP, FAILED, False),
            (UP, SILENT, True),
            (UP, ASKED_TO_WAIT, True),
            (Portal(failures=FAILURES_IN_A_ROW - 2), FAILED, False),
            (Portal(failures=FAILURES_IN_A_ROW - 1), FAILED, True),
            (DOWN, FAILED, True),
            (DOWN, REFUSED, False),
            # From a gateway before an iUsed that is down, perhaps.
            (DOWN, CLOSED, True),
            (DOWN, ACCEPTED, False),
        ):
            with self.subTest(before=before, outcome=outcome.text):
                self.assertEqual(before.after(outcome).is_down, is_down)

    def test_any_answer_ends_a_row_of_failures(self):
        portal = UP
        for outcome in (*[FAILED] * 4, ACCEPTED, *[FAILED] * 4, CLOSED, *[FAILED] * 4):
            portal = portal.after(outcome)
            self.assertFalse(portal.is_down)
        self.assertTrue(portal.after(FAILED).is_down)

    def test_tries_last_about_three_days_and_do_not_come_back_all_at_once(self):
        for attempts, minutes in enumerate((*RETRY_MINUTES, RETRY_MINUTES[-1])):
            tries = {retry_seconds(attempts) for _try in range(100)}
            self.assertTrue(all(60 * minutes <= seconds <= 60 * minutes * (1 + JITTER) for seconds in tries))
            self.assertGreater(len(tries), 50)
        self.assertTrue(2.9 < sum(RETRY_MINUTES) / 60 / 24 < 3.6)

    def test_iuseds_wish_to_wait_is_honoured_where_it_is_later_than_our_own_plan(self):
        self.assertEqual(decide(ASKED_TO_WAIT, 0, DOWN).seconds, 7200)
        self.assertGreater(decide(ASKED_TO_WAIT, LAST - 1, DOWN).seconds, 7200)
