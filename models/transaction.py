"""Transactions that are ended before their time. No model, but a function that several models need."""

from odoo.modules import module


def begin_anew(cr):
    """End the transaction, in which nothing was written, and begin another, which sees what others committed meanwhile.

    Whoever calls this says so to its own callers: what they wrote would be lost.

    :param cr: the cursor of the transaction
    :raises RuntimeError: where something was written
    """
    # In Odoo's tests all is one transaction, in which something always was written.
    if not module.current_test:
        cr.execute("SELECT pg_current_xact_id_if_assigned()")
        if cr.fetchone()[0] is not None:
            raise RuntimeError("Something was written, and would be lost with the transaction.")
    cr.rollback()
