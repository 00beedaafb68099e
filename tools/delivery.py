"""What follows from a try to tell iUsed something: when to try again, when to give up, when to leave iUsed alone.

Plain Python without Odoo. The schedule is that of Standard Webhooks (https://www.standardwebhooks.com): about three
days in all.
"""

import random
from dataclasses import dataclass
from itertools import accumulate

from .webhook import Outcome

RETRY_MINUTES = (1, 5, 30, 120, 300, 600, 840, 1200, 1440)
JITTER = 0.1  # of that time, so that many updates do not come back all at once
FAILURES_IN_A_ROW = 5  # errors of iUsed's server after which it is taken to be down


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
    """

    is_down: bool = False
    failures: int = 0

    def after(self, outcome):
        """Return what is known after one more try.

        An answer of any kind to the update itself shows that iUsed is up. No answer at all, or the wish to be left
        alone (`Retry-After`), shows at once that it is down; errors of its server do when there are several in a row.

        :param tools.webhook.Outcome outcome: what came of the try
        :rtype: Portal
        """
        if outcome.verdict != Outcome.RETRY:
            return Portal()
        failures = self.failures + 1
        silent = not outcome.reached or outcome.retry_after is not None
        return Portal(self.is_down or silent or failures >= FAILURES_IN_A_ROW, failures)


@dataclass(frozen=True)
class Consequence:
    """What becomes of an update after a try.

    :ivar state: a state of `iused.shipment.update`
    :ivar seconds: until the next try; None where there is none
    :ivar holds: the company's other updates wait for this one's next try
    :ivar closes: nothing of the company is sent any more until a person resumes
    :ivar is_late: iUsed ought to have given an answer long ago
    """

    state: str
    seconds: float | None = None
    holds: bool = False
    closes: bool = False
    is_late: bool = False


def decide(outcome, attempts, portal):
    """Return what follows from a try.

    :param tools.webhook.Outcome outcome: what came of it
    :param int attempts: the update's tries before this one
    :param Portal portal: what is known of iUsed's side after it
    :rtype: Consequence
    """
    if outcome.verdict == Outcome.ACCEPTED:
        return Consequence("sent")
    if outcome.verdict == Outcome.CLOSED:
        return Consequence("pending", seconds=0, closes=True)
    exhausted = attempts >= len(RETRY_MINUTES)
    # That iUsed is down as a whole is no reason to give an update up.
    if outcome.verdict == Outcome.REFUSED or (exhausted and not portal.is_down):
        return Consequence("stopped")
    seconds = max(retry_seconds(attempts), outcome.retry_after or 0)
    return Consequence("retry", seconds, holds=portal.is_down, is_late=attempts == len(RETRY_MINUTES))
