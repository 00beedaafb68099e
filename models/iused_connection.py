import json
import logging
import tempfile
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..const import LOOPBACK_HOSTS, ROUTE_PREFIX
from ..tools import destination
from ..tools.openapi import EXAMPLE_ANSWER, EXAMPLE_OFFER, document, example_order
from ..tools.problem import MEDIA_TYPE
from ..tools.webhook import TIMEOUT, USER_AGENT, probe

_logger = logging.getLogger(__name__)

OWN_TIMEOUT = (5, 10)  # seconds to connect, to read, when we call ourselves


class IusedConnection(models.AbstractModel):
    """What an administrator tries before anything is at stake, and what iUsed's IT is told: addresses and webhook."""

    _name = "iused.connection"
    _description = "iUsed Connection"

    # Where calls may go -----------------------------------------------------------------------------------------------

    @api.model
    def _allowed_networks(self):
        """Return the networks beyond the public internet that an administrator lets us call, of `ipaddress`."""
        # Who tests an address, or changes it, need not read system parameters.
        parameter = self.env["ir.config_parameter"].sudo().get_param(destination.PARAMETER)
        try:
            return destination.read_networks(parameter)
        except ValueError as error:  # not written by way of the ORM, which refuses it
            _logger.error("The system parameter %s names no network: %s", destination.PARAMETER, error)
            return ()

    @api.model
    def _check_host(self, host):
        """Refuse an address that is not public at once. A name is looked up by the call, and checked then.

        :param str host: of an address that is to be saved
        :raises ValidationError: unless its network was named
        """
        try:
            destination.check_literal(host, self._allowed_networks())
        except destination.DestinationRefused as error:
            raise ValidationError(self._describe_destination(error.address)) from None

    @api.model
    def _describe_destination(self, address):
        return self.env._(
            "The host has the address %(address)s, which is not on the public internet. If that is right, name its"
            " network in the system parameter %(parameter)s.",
            address=address,
            parameter=destination.PARAMETER,
        )

    # Trying the connection --------------------------------------------------------------------------------------------

    @api.model
    def _test_webhook(self, company):
        """Ask the webhook's address whether it is there. Commits, so that no transaction waits for the answer.

        :return: the kind of notification (success, warning or danger) and its text
        """
        if company.iused_webhook_is_lost:
            return "danger", self.env._("The webhook's address cannot be read any more: enter it again.")
        url = company._iused_webhook_address()
        if not url:
            return "warning", self.env._("There is no webhook address yet.")
        networks = self._allowed_networks()
        self.env["ir.cron"]._commit_progress()
        answer = probe("OPTIONS", url, TIMEOUT, networks)
        kind, text = self._judge_webhook(company, answer)
        if kind == "success" and company._iused_webhook_address() == url:
            company.sudo().iused_webhook_tested_at = fields.Datetime.now()  # a finding; who may test may not write it
        return kind, text

    @api.model
    def _judge_webhook(self, company, answer):
        """Say in words what an answer to OPTIONS tells of the webhook.

        :param tools.webhook.Probe answer: which methods are allowed is believed only where it is told
        :return: the kind of notification and its text
        """
        status, method = answer.status, company.iused_webhook_method
        if answer.trouble:
            return "danger", self._describe_trouble(answer)
        if status in (401, 403):
            return "danger", self.env._(
                "iUsed's server answers, but lets nobody in at this address (HTTP %s). Is it complete?", status
            )
        if status in (404, 410):
            return "danger", self.env._(
                "iUsed's server answers, but knows no such address (HTTP %s). Copy it again from iUsed.", status
            )
        if 300 <= status < 400:
            return "danger", self.env._(
                "iUsed's server leads on to another address (HTTP %s). Ask iUsed for the final one.", status
            )
        if (status >= 500 and status != 501) or status in (408, 425, 429):
            return "warning", self.env._(
                "iUsed's server answers, but is in trouble (HTTP %s). Test again later.", status
            )
        if answer.allowed - {"OPTIONS", "HEAD"} and method not in answer.allowed:
            return "warning", self.env._(
                "The address answers, but does not take %(method)s. It takes: %(allowed)s.",
                method=method,
                allowed=", ".join(sorted(answer.allowed)),
            )
        return "success", self.env._(
            "The address answers. Nothing was reported: the first shipment will show whether iUsed accepts it."
        )

    @api.model
    def _describe_trouble(self, answer):
        """Say in words why a server gave no answer.

        :param tools.webhook.Probe answer: with a trouble
        """
        if answer.trouble == "destination":
            return self._describe_destination(answer.address)
        return {
            "timeout": self.env._("The server did not answer in time."),
            "certificate": self.env._("The server's certificate is not valid."),
            "connection": self.env._("The server could not be reached, or closed the connection."),
        }[answer.trouble]

    @api.model
    def _addresses(self, company):
        """Return our addresses as iUsed calls them, by the name of their resource."""
        base_url = company.get_base_url().rstrip("/")
        return {name: f"{base_url}{ROUTE_PREFIX}/{name}" for name in ("offers", "orders", "openapi.json")}

    @api.model
    def _test_addresses(self, company):
        """Call our own addresses without a key, as from outside. Commits, so that no transaction waits for it.

        They may be near: they are ours, get no secret, and of their answer no more than its kind is told.

        :return: the kind of notification (success, warning or danger) and its text
        """
        addresses = self._addresses(company)
        self.env["ir.cron"]._commit_progress()
        for url in (addresses["offers"], addresses["orders"]):
            if fault := self._judge_address(probe("GET", url, OWN_TIMEOUT, destination.INTERNAL)):
                return "danger", f"{url}\n{fault}"
        base = urlsplit(addresses["offers"])
        if base.hostname in LOOPBACK_HOSTS:
            return "warning", self.env._(
                "Both addresses answer, but only on this computer. Open Odoo by the address that iUsed is to use, as"
                " administrator: Odoo then takes it over. Or set the system parameter web.base.url."
            )
        if base.scheme != "https":
            return "warning", self.env._(
                "Both addresses answer, but without https:// anybody on the way can read the access token."
            )
        return "success", self.env._("Both addresses answer, as seen from this server.")

    @api.model
    def _judge_address(self, answer):
        """Say in words why an answer to a call without a key is not ours, which is a 401 as problem details.

        :param tools.webhook.Probe answer: what one of our own addresses answered
        :return: the text, or an empty string where all is well
        """
        status = answer.status
        if status == 401 and answer.media_type == MEDIA_TYPE:
            return ""
        if answer.trouble == "timeout":
            return self.env._(
                "There was no answer in time. Odoo with a single worker cannot answer itself: then call the address"
                " from another computer. It must answer that a valid key is needed."
            )
        if answer.trouble:
            return self._describe_trouble(answer)
        if 300 <= status < 400:
            return self.env._(
                "It leads on to another address (HTTP %s), which iUsed would not follow. Correct the system parameter"
                " web.base.url.",
                status,
            )
        if status in (502, 503, 504):
            return self.env._("The proxy answers, but does not reach Odoo (HTTP %s).", status)
        return self.env._(
            "Something else answers there (HTTP %s): another program, a proxy that does not pass the path on, or an"
            " Odoo that does not know which database is meant (see dbfilter).",
            status,
        )

    # What iUsed's IT needs to know ------------------------------------------------------------------------------------

    @api.model
    def action_share(self):
        """Open the page that tells iUsed's IT how to call the current company.

        :raises AccessError: for who is no manager of iUsed
        """
        self.env["res.company"]._check_iused_manager()
        return {"type": "ir.actions.act_url", "url": f"/iused/share/{self.env.company.id}", "target": "new"}

    @api.model
    def _example_offers(self, company, limit):
        """Return the first offers of the feed, as served."""
        feed = company.env["iused.offer.feed"]
        with tempfile.TemporaryFile() as file:
            feed._write(feed._offers_query(company, limit=limit), file)
            file.seek(0)
            return json.load(file)

    @api.model
    def _openapi(self, company):
        """Return the OpenAPI document of this company's addresses. It holds no secret."""
        company_sudo = company.sudo()  # its address is a system parameter, the feed's tables are closed to iUsed's user
        return document(
            f"{company_sudo.get_base_url()}{ROUTE_PREFIX}",
            company_sudo.env.ref("base.module_sale_iused").installed_version,
            company_sudo.name,
            (
                company_sudo.iused_webhook_method,
                company_sudo.env["iused.shipment.update"]._prepare_example(company_sudo),
            ),
            next(iter(self._example_offers(company_sudo, 1)), None),
        )

    @api.model
    def _prepare_share(self, company):
        """Return what the page for iUsed's IT shows. It holds no secret."""
        company_sudo = company.sudo()  # as above; whoever may read the page may know all of this
        offers = self._example_offers(company_sudo, 2) or [EXAMPLE_OFFER]
        responsible_sudo = company_sudo._iused_responsible()
        return {
            "title": self.env._("How iUsed connects to %s", company_sudo.name),
            "company": company_sudo,
            "addresses": self._addresses(company_sudo),
            # One on a line, as served.
            "offers": "[" + ",\n ".join(json.dumps(offer, ensure_ascii=False) for offer in offers) + "]",
            "order": example_order(offers[0]),
            "answer": EXAMPLE_ANSWER,
            "shipment": company_sudo.env["iused.shipment.update"]._prepare_example(company_sudo),
            "user_agent": USER_AGENT,
            "contact": responsible_sudo.partner_id,
            "to_json": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
        }
