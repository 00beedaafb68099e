"""Takes pictures of the addon's screens in the demo database, with headless Chromium.

dev/with-env screenshots.py [FOLDER]     while dev/run is up; the default folder is .dev/pictures
dev/with-env screenshots.py --apps       makes the pictures and the banner of static/description/ anew
"""

import base64
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import requests
import websocket

from bootstrap import DEV, ROOT, stop
from services import find_chromium, free_port

SIZES = {"wide": (1366, 900), "phone": (390, 844)}
# name: (login, path, JavaScript to run before the picture is taken)
SCREENS = {
    "overview": ("admin", "/odoo/action-sale_iused.iused_overview_action", ""),
    "settings": ("admin", "/odoo/action-sale_iused.iused_settings_action", ""),
    "offers": ("admin", "/odoo/action-sale_iused.iused_offer_action", ""),
    "product": (
        "admin",
        "/odoo/product.template/{product}",
        "document.querySelector('.o_notebook .nav-link[name=iused]').click()",
    ),
    "orders": ("admin", "/odoo/action-sale_iused.iused_order_action", ""),
    "order": ("admin", "/odoo/sale.order/{order}", ""),
    "log": ("admin", "/odoo/action-sale_iused.iused_exchange_action", ""),
    "updates": ("warehouse", "/odoo/action-sale_iused.iused_shipment_update_action", ""),
    "update": ("warehouse", "/odoo/iused.shipment.update/{update}", ""),
    "delivery": ("warehouse", "/odoo/stock.picking/{picking}", ""),
    "return-desk": (
        "warehouse",
        "/odoo/action-sale_iused.iused_return_desk_action",
        """
        const field = document.querySelector("#iused_return_input");
        field.value = "S00001";
        field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
        """,
    ),
    "returns": ("admin", "/odoo/action-sale_iused.iused_return_report_action", ""),
    "erase": ("admin", "/odoo/action-sale_iused.iused_erase_consumer_of_contact_action", ""),
    "preview": ("admin", "/odoo/action-sale_iused.iused_privacy_preview_action", ""),
    "erasures": ("admin", "/odoo/action-sale_iused.iused_erasure_action", ""),
}

READY = ".o_action_manager .o_view_controller, .o_iused_overview, .o_iused_return_desk"


# Those of the addon's page in Odoo Apps, which `static/description/index.html` shows.
APPS_PAGE = ROOT / "static/description"
APPS_SCREENS = ("overview", "offers", "order", "delivery", "log", "settings")
APPS_SIZE = (1280, 800)
BANNER = ROOT / "dev/banner.svg"
BANNER_SIZE = (1120, 560)


class Browser:
    """Headless Chromium, driven by its debugging protocol."""

    def __init__(self):
        self.port = free_port()
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [
                find_chromium() or stop("Chromium is needed for pictures."),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--hide-scrollbars",
                f"--user-data-dir={self.profile.name}",
                f"--remote-debugging-port={self.port}",
                "--remote-allow-origins=*",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.number = 0
        self.socket = websocket.create_connection(self._page(), timeout=30)
        self.call("Page.enable")

    def _page(self):
        for _attempt in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json", timeout=5) as answer:
                    pages = [page for page in json.load(answer) if page["type"] == "page"]
                    return pages[0]["webSocketDebuggerUrl"]
            except (OSError, IndexError):
                time.sleep(0.1)
        return stop("Chromium did not start.")

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                return message.get("result", {})

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return result.get("result", {}).get("value")

    def wait_until(self, condition, seconds=20):
        """Wait for a JavaScript condition; give up silently, the picture shows what is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.run(condition):
            time.sleep(0.2)
        time.sleep(0.7)  # fonts, animations

    def picture(self, path, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )
        time.sleep(0.5)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()
        self.profile.cleanup()


def sign_in(browser, run, login):
    session = requests.Session()
    session.post(
        f"{run['base_url']}/web/session/authenticate",
        json={"params": {"db": run["db"], "login": login, "password": login}},
        timeout=60,
    ).raise_for_status()
    browser.call("Network.setCookie", name="session_id", value=session.cookies["session_id"], url=run["base_url"])
    return session


def latest(session, run, model, domain):
    answer = session.post(
        f"{run['base_url']}/web/dataset/call_kw/{model}/search",
        json={"params": {"model": model, "method": "search", "args": [domain], "kwargs": {"limit": 1}}},
        timeout=60,
    ).json()
    return answer["result"][0]


def take(browser, run, ids, name, path, size):
    """Take the picture of a screen, as the user whose screen it is."""
    login, address, script = SCREENS[name]
    sign_in(browser, run, login)
    width, height = size
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
    )
    browser.call("Page.navigate", url=run["base_url"] + address.format(**ids))
    browser.wait_until(f"!!document.querySelector('{READY}')")
    if script:
        browser.run(script)
    browser.picture(path, width, height)
    print(path)


def find_records(browser, run):
    """Return the ids of what the screens show."""
    session = sign_in(browser, run, "admin")
    return {
        "product": latest(session, run, "product.template", [["iused_offered", "=", True]]),
        "order": latest(session, run, "sale.order", [["iused_reference", "!=", False]]),
        "update": latest(session, run, "iused.shipment.update", []),
        "picking": latest(session, run, "stock.picking", [["iused_update_ids", "!=", False]]),
    }


def make_banner(browser):
    path = APPS_PAGE / "banner.png"
    browser.call("Page.navigate", url=BANNER.as_uri())
    browser.wait_until("document.readyState === 'complete'")
    browser.picture(path, *BANNER_SIZE)
    print(path)


def main():
    if not (DEV / "run.json").exists():
        stop("dev/run is not up: start it first, in another terminal.")
    run = json.loads((DEV / "run.json").read_text())
    browser = Browser()
    try:
        ids = find_records(browser, run)
        if "--apps" in sys.argv:
            make_banner(browser)
            for name in APPS_SCREENS:
                take(browser, run, ids, name, APPS_PAGE / f"{name}.png", APPS_SIZE)
            return
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else DEV / "pictures")
        folder.mkdir(parents=True, exist_ok=True)
        for name in SCREENS:
            for size, measures in SIZES.items():
                take(browser, run, ids, name, folder / f"{name}-{size}.png", measures)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
