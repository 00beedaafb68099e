"""What follows from a try to tell iUsed something: when to try again, when to give up, when to leave iUsed alone.

Plain Python without Odoo. The schedule is that of Standard Webhooks (https://www.standardwebhooks.com): about three
days in all.
"""

import random
from dataclasses import dataclass, replace
from itertools import accumulate

from .webhook import Outcome

RETRY_MINUTES = (1, 5, 30, 120, 300, 600, 840, 1200, 1440)
JITTER = 0.1  # of that time, so that many updates do not come back all at once
FAILURES_IN_A_ROW = 5  # errors of iUsed's server after which it is taken to be down
# They speak of the address and its token, whatever was sent (RFC 9110, sections 15.5.2 and 15.5.11).
CERTAIN_STATUSES = {401, 410}
DOUBTS = 2  # other closing answers, 403 and 404, that shut the company out: one may speak of its own update alone
# Of an update: it may be the reason of a closing answer; it is, as far as we can know.
SUSPECTED, BLAMED = 1, 2


def retry_seconds(attempts):
    """Return the seconds until the next try.

    :param int attempts: tries that failed before this one
    """
    return RETRY_MINUTES[min(attempts, len(RETRY_MINUTES) - 1)] * 60 * random.uniform(1, 1 + JITTER)


def tries_within(period):
    """Return after how many failed tries in a row a period is over, by the schedule alone.

    :param datetime.timedelta period: of less than the schedule's days
    """
    minutes = accumulate(RETRY_MINUTES)
    return next(tries for tries, passed in enumerate(minutes, 2) if passed * 60 >= period.total_seconds())


@dataclass(frozen=True)
class Portal:
    """What a company's tries say of iUsed's side.

    :ivar is_down: nothing else that is sent now would arrive, so that one update alone tries it
    :ivar failures: errors of iUsed's server, one after the other
    :ivar doubts: closing answers since iUsed last answered an update otherwise
    """

    is_down: bool = False
    failures: int = 0
    doubts: int = 0

    @property
    def is_closed(self):
        """Whether iUsed shuts the company out."""
        return self.doubts >= DOUBTS

    def after(self, outcome, blame=0):
        """Return what is known after one more try.

        An answer of any kind to the update itself shows that iUsed is up. No answer at all, or the wish to be left
        alone (`Retry-After`), shows at once that it is down; errors of its server do when there are several in a row.
        A closing answer may come from something before iUsed, and does not show that it is up; that of an update which
        is blamed for it says nothing of the others.

        :param tools.webhook.Outcome outcome: what came of the try
        :param int blame: the update's before the try
        :rtype: Portal
        """
        if outcome.verdict == Outcome.CLOSED:
            doubts = DOUBTS if outcome.status in CERTAIN_STATUSES else self.doubts + 1
            return Portal(self.is_down, doubts=self.doubts if blame == BLAMED else doubts)
        if outcome.verdict != Outcome.RETRY:
            return Portal()
        failures = self.failures + 1
        silent = not outcome.reached or outcome.retry_after is not None
        return replace(self, is_down=self.is_down or silent or failures >= FAILURES_IN_A_ROW, failures=failures)


@dataclass(frozen=True)
class Consequence:
    """What becomes of an update after a try.

    :ivar state: a state of `iused.shipment.update`
    :ivar seconds: until the next try; None where there is none
    :ivar holds: the company's other updates wait for this one's next try
    :ivar closes: nothing of the company is sent any more until a person resumes
    :ivar is_late: iUsed ought to have given an answer long ago
    :ivar blame: the update's from now on
    """

    state: str
    seconds: float | None = None
    holds: bool = False
    closes: bool = False
    is_late: bool = False
    blame: int = 0


def decide(outcome, attempts, portal, blame=0):
    """Return what follows from a try.

    A closing answer that may speak of the update alone lets another update be tried, or the same one after the first
    pause. The company is shut out by the second such answer; an update that had its part in that, or that is
    answered so though another one is not, stops by itself at its next one.

    :param tools.webhook.Outcome outcome: what came of it
    :param int attempts: the update's tries before this one
    :param Portal portal: what is known of iUsed's side after it
    :param int blame: the update's before it
    :rtype: Consequence
    """
    if outcome.verdict == Outcome.ACCEPTED:
        return Consequence("sent")
    if outcome.verdict == Outcome.CLOSED:
        return _decide_closed(portal, blame)
    exhausted = attempts >= len(RETRY_MINUTES)
    # That iUsed is down as a whole is no reason to give an update up.
    if outcome.verdict == Outcome.REFUSED or (exhausted and not portal.is_down):
        return Consequence("stopped", blame=blame)
    seconds = max(retry_seconds(attempts), outcome.retry_after or 0)
    return Consequence("retry", seconds, portal.is_down, is_late=attempts == len(RETRY_MINUTES), blame=blame)


def _decide_closed(portal, blame):
    """Return what follows from a closing answer; parameters as in `decide`."""
    if blame == BLAMED:
        return Consequence("stopped", blame=BLAMED)
    if portal.is_closed:
        return Consequence("pending", seconds=0, closes=True, blame=BLAMED)
    return Consequence("retry", retry_seconds(0), blame=SUSPECTED)
