import base64
import logging
import threading
from datetime import datetime
from functools import partial

from psycopg2 import Error, InterfaceError, OperationalError
from werkzeug.exceptions import ClientDisconnected, HTTPException, NotFound, RequestEntityTooLarge

from odoo import api, models
from odoo.exceptions import AccessDenied, AccessError, ConcurrencyError, UserError
from odoo.http import request
from odoo.service.model import retrying
from odoo.sql_db import PoolError
from odoo.tools import real_time

from ..const import ROUTE_PREFIX
from ..tools.daily_share import DailyShare
from ..tools.guesses import Guesses, source_of
from ..tools.networks import allows, is_nearby, parse_networks, read_address
from ..tools.order_payload import cut
from ..tools.problem import is_problem, problem
from .iused_exchange import LONGEST_DETAIL

_logger = logging.getLogger(__name__)

# Werkzeug's own words are for people with a browser.
DETAILS = {
    404: "There is nothing at this address.",
    413: "The body is too large; the limit is 1 MiB.",
}
BUSY = "Too much is going on at once; please repeat the call."
BODY_SECONDS = 10  # in which a body must arrive
LONGEST_KEY = 256  # characters; Odoo's keys have 40
# Polls of a company that each process writes down in a day, the refused ones apart; and seconds between those beyond.
# Who polls every minute has all of them written down, who polls all the time fills no disk.
MOST_POLLS, POLL_PAUSE = 2_000, 60


def unauthorized():
    """Return the exception to raise for a call without a valid key."""
    return problem(
        401,
        "A valid key is needed: Authorization: Bearer, Authorization: Basic (as the password) or X-API-Key.",
        headers={"WWW-Authenticate": 'Bearer realm="iUsed"'},
    )


class UnwrittenPolls:
    """Counts the polls that could not be written down, and logs the first of them and then how many they were."""

    def __init__(self):
        self._count = 0
        self._lock = threading.Lock()

    def note(self, error):
        with self._lock:
            self._count += 1
            is_first = self._count == 1
        if is_first:
            _logger.warning("A poll of iUsed could not be written down: %s", error)

    def tell(self):
        """Log how many there were, now that one was written down again."""
        if self._count:
            with self._lock:
                count, self._count = self._count, 0
            _logger.warning("%s polls of iUsed were served, but not written down", count)


unwritten_polls = UnwrittenPolls()
guesses = Guesses()
poll_share = DailyShare(MOST_POLLS, POLL_PAUSE)


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _auth_method_iused(cls):
        """Let in who holds a key of a company's iUsed user, and work for that company alone.

        The key comes as `Authorization: Bearer`, as the password of `Authorization: Basic`, or as `X-API-Key`.

        :raises werkzeug.exceptions.HTTPException: 401 without a valid key, 429 after too many of those, 403 from where
            the company does not let it be used, 503 where the database failed
        """
        # What comes while a server starts has not passed the door either, which is not there yet: it is served.
        if "iused.other_address" in request.httprequest.environ:
            raise NotFound
        try:
            cls._iused_let_in()
        except (Error, PoolError) as error:
            # Odoo answers 403 to whatever fails in here, and after that iUsed would not repeat the call.
            _logger.warning("A key of iUsed could not be checked: %s", error)
            raise problem(503, BUSY, headers={"Retry-After": "5"}) from error

    @classmethod
    def _iused_let_in(cls):
        key = cls._iused_request_key()
        address = read_address(request.httprequest.remote_addr)
        keys = request.env["res.users.apikeys"]
        cls._iused_slow_down(address, key)
        user_id, key_name = keys._iused_check(key) if key else (None, None)
        # Nobody is logged in yet: the key decides which company this is about.
        company_sudo = request.env["res.company"].sudo()
        if user_id:
            company_sudo = company_sudo.search([("iused_user_id", "=", user_id)], limit=1)
        user_sudo = company_sudo.iused_user_id
        if not user_sudo.share:  # nor is there one without a company
            cls._iused_note_guess(address)
            raise unauthorized()
        request.iused_caller = {"key_name": key_name, "remote_address": str(address)}  # for the log
        if not allows(parse_networks(company_sudo.iused_networks), address):
            request.iused_outside = company_sudo
            raise problem(403, f"This key is not let in from {address}: the refurbisher lists where it may be used.")
        keys._iused_note_use(user_id, key)
        request.update_env(user=user_id)
        request.update_context(**user_sudo.context_get(), allowed_company_ids=company_sudo.ids)
        request.session.can_save = False

    # Guessing ------------------------------------------------------------------------------------------------------

    @classmethod
    def _iused_slow_down(cls, address, key):
        """Let who guessed too often wait, by Odoo's own rule and its parameters (`base.login_cooldown_after`, ...).

        A key that begins like a real one is looked at all the same. Others may call from the same address, all the
        world where Odoo does not know of the reverse proxy: their guesses must not shut iUsed out. For the same reason
        it is not counted together with logins, as `_assert_can_auth` does: guesses would shut all users out, and a
        good key would let off who tries passwords.

        :raises werkzeug.exceptions.TooManyRequests: before anything is checked
        """
        count, last = guesses.read((request.db, source_of(address)))
        if not count or not request.env["res.users"]._on_login_cooldown(count, last):
            return
        if not request.env["res.users.apikeys"]._iused_begins_like_one(key):
            parameters_sudo = request.env["ir.config_parameter"].sudo()  # everybody may know how long to wait
            seconds = int(parameters_sudo.get_param("base.login_cooldown_duration", 60))
            left = max(1, seconds - int((datetime.now() - last).total_seconds()))
            raise problem(
                429, f"Too many calls without a valid key came from {address}.", headers={"Retry-After": str(left)}
            )

    @classmethod
    def _iused_note_guess(cls, address):
        """Count a call without a valid key, and leave a line in the server's log; who has to wait leaves no more."""
        count = guesses.note((request.db, source_of(address)))
        level, hint = logging.INFO, ""
        if request.env["res.users"]._on_login_cooldown(count, datetime.now()):
            level, hint = logging.WARNING, "; others have to wait"
            if is_nearby(address):
                hint += ", as the address may be a reverse proxy's that Odoo does not know of: see proxy_mode"
        _logger.log(
            level, "A call from %s was refused: no valid access token of iUsed (%s from there%s)", address, count, hint
        )

    @classmethod
    def _iused_request_key(cls):
        """Return the key that the request carries, or an empty string."""
        headers = request.httprequest.headers
        scheme, _space, credentials = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            key = credentials.strip()
        elif scheme.lower() == "basic":
            try:
                key = base64.b64decode(credentials, validate=True).decode().partition(":")[2]
            except ValueError:  # neither Base64 nor UTF-8
                key = ""
        else:
            key = headers.get("X-API-Key", "").strip()
        return key if len(key) <= LONGEST_KEY and "\0" not in key else ""

    @classmethod
    def _match(cls, path):
        """Lead nobody on from an address that is not ours: the redirections of web pages are HTML."""
        try:
            return super()._match(path)
        except HTTPException as exception:
            if cls._is_iused_path():
                raise NotFound from exception
            raise

    @classmethod
    def _serve_fallback(cls):
        """Look for no page below our routes: there is none, and some addresses would make the search fail."""
        if cls._is_iused_path():
            return None
        return super()._serve_fallback()

    @classmethod
    def _is_iused_path(cls):
        path = request.httprequest.path
        return path == ROUTE_PREFIX or path.startswith(f"{ROUTE_PREFIX}/")

    @classmethod
    def _handle_error(cls, exception):
        """Answer every error below our routes as problem details, the ones raised before a controller runs included."""
        if not cls._is_iused_path():
            return super()._handle_error(exception)
        answer = cls._iused_problem(exception)
        cls._iused_log_refusal(answer)
        cls._iused_log_poll(answer.response)
        cls._iused_log_outside(answer)
        return answer

    @classmethod
    def _pre_dispatch(cls, rule, args):
        result = super()._pre_dispatch(rule, args)
        if rule.endpoint.routing["auth"] == "iused" and "max_content_length" in rule.endpoint.routing:
            cls._iused_read_body(rule.endpoint.routing["max_content_length"])
        return result

    @classmethod
    def _iused_read_body(cls, limit):
        """Read the body before Odoo reads it as the fields of a form, which JSON under a wrong name is not: it goes to
        the log.

        :param int limit: in bytes
        :raises werkzeug.exceptions.RequestEntityTooLarge: for more
        """
        # Of a body that comes in chunks, whose length nobody told, werkzeug cuts off silently what is beyond the limit.
        request.httprequest.max_content_length = limit + 1
        try:
            size = len(request.httprequest.get_data(cache=True))
        except ClientDisconnected as error:
            raise problem(400, f"The body did not arrive whole, or not within {BODY_SECONDS} seconds.") from error
        if size > limit:
            raise RequestEntityTooLarge

    @classmethod
    def _iused_log_refusal(cls, answer):
        """Keep a refused push: its work was rolled back, so the log has a transaction of its own.

        Odoo calls the error handler once, after the last replay.
        """
        push = getattr(request, "iused_push", None)
        if not push:
            return  # nobody was let in, the body was too large, or nothing was pushed
        company_id, uid = request.env.company.id, request.env.uid
        try:
            request.env.cr.rollback()
            with request.registry.cursor() as cr:
                env = api.Environment(cr, uid, {"allowed_company_ids": [company_id]}, su=True)
                log = partial(
                    env["iused.exchange"]._log_refused,
                    env["res.company"].browse(company_id),
                    {**push, "duration": real_time() - threading.current_thread().perf_t0},
                    answer.code,
                    answer.response.get_data(as_text=True),
                )
                retrying(log, env)  # and commits
        except Exception:
            # The answer must reach iUsed all the same, which then repeats the push or asks.
            _logger.exception("A refused order of iUsed could not be written down")

    @classmethod
    def _iused_log_poll(cls, answer):
        """Keep a poll of the offers, which itself only reads, and from a replica where there is one."""
        poll = getattr(request, "iused_poll", None)
        if not poll:
            return  # something else was asked for, or nobody was let in
        kept, is_last = poll_share.take((request.db, poll["company_id"], answer.status_code >= 400))
        if is_last:
            _logger.warning("So many polls of iUsed came today that from now on one a minute is written down")
        if not kept:
            return
        size = answer.content_length or len(answer.get_data())
        values = {
            **poll,
            **request.iused_caller,
            "status": answer.status_code,
            "duration": real_time() - threading.current_thread().perf_t0,
            "size": size if poll["method"] != "HEAD" else 0,
        }
        exchanges = request.env["iused.exchange"]
        if answer.status_code >= 400:
            # PostgreSQL takes no NUL, which a refused parameter's name may hold.
            words = exchanges._describe(answer.get_data(as_text=True))
            values["detail"] = cut(words.replace("\n", " ").replace("\0", "\ufffd"), LONGEST_DETAIL)
        try:
            # Nothing was written, and no snapshot must be kept while another connection writes.
            request.env.cr.rollback()
            with request.registry.cursor() as cr:
                exchanges.with_env(exchanges.env(cr=cr))._log_poll(values)
        except (Error, PoolError) as error:
            # A poll that is not written down is served all the same.
            unwritten_polls.note(error)
        else:
            unwritten_polls.tell()

    @classmethod
    def _iused_log_outside(cls, answer):
        """Keep a call with a good key from where the company does not let it be used, and have somebody told."""
        company_sudo = getattr(request, "iused_outside", None)
        if not company_sudo:
            return
        values = {
            **request.iused_caller,
            "method": request.httprequest.method,
            # Without its query, which may carry a key; PostgreSQL takes no NUL.
            "path": cut(request.httprequest.path.replace("\0", "\ufffd"), LONGEST_DETAIL),
            "status": answer.code,
            "duration": real_time() - threading.current_thread().perf_t0,
            "detail": answer.description,
        }
        company_id, uid = company_sudo.id, company_sudo.iused_user_id.id
        try:
            request.env.cr.rollback()
            with request.registry.cursor() as cr:
                env = api.Environment(cr, uid, {"allowed_company_ids": [company_id]}, su=True)
                env["iused.exchange"]._log_outside(env["res.company"].browse(company_id), values)
        except (Error, PoolError) as error:
            _logger.warning("A call of iUsed from another network could not be written down: %s", error)

    @classmethod
    def _iused_problem(cls, exception):
        if is_problem(exception):
            return exception
        match exception:
            case HTTPException(code=int(code)) if code in DETAILS:
                return problem(code, DETAILS[code])
            case HTTPException(code=int(code)) if code >= 400:
                return problem(
                    code,
                    exception.description,
                    headers={
                        name: value for name, value in exception.get_headers() if name in ("Allow", "Retry-After")
                    },
                )
            case AccessDenied() | AccessError():
                return problem(403, "The key does not give access to this.")
            case UserError():
                return problem(422, str(exception))
            case ConcurrencyError() | OperationalError() | InterfaceError() | PoolError():
                return problem(503, BUSY, headers={"Retry-After": "5"})
        # Odoo logs the exception itself, with its traceback.
        return problem(500, "An unexpected error occurred. It was logged; nothing was changed.")
