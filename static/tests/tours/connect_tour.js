import { registry } from "@web/core/registry";

import { closeToken, confirmIdentity } from "./steps";

let key;

/**
 * An administrator connects a company that has nothing yet, by reading the overview only. In between, iUsed calls.
 * The cookie `webhook` holds the address that iUsed gave. Starts on the overview.
 */
registry.category("web_tour.tours").add("iused_connect", {
    steps: () => [
        {
            content: "Make the access token",
            trigger: "[data-step='token'][data-done='0'] button",
            run: "click",
        },
        { content: "Make it", trigger: ".modal button[name='action_make']", run: "click" },
        ...confirmIdentity,
        {
            content: "Copy the token",
            trigger: ".modal [name='key']:has(.o_clipboard_button)",
            run() {
                key = this.anchor.textContent.match(/[0-9a-f]{40}/)[0];
            },
        },
        closeToken,
        {
            content: "Choose products",
            trigger: "body:not(:has(.modal)) .o_iused_steps:has([data-step='token'][data-done='1']) [data-step='products'] button",
            run: "click",
        },
        {
            content: "Select one",
            trigger: ".o_data_row:contains('CONNECT-1') .o_list_record_selector input",
            run: "click",
        },
        {
            content: "Open the actions",
            trigger: ".o_cp_action_menus button:has(.fa-cog)",
            run: "click",
        },
        {
            content: "Offer it",
            trigger: ".o-dropdown--menu .o-dropdown-item:contains('Offer on iUsed')",
            run: "click",
        },
        {
            content: "It is ready",
            trigger: ".o_notification:contains('1 of 1 products are ready')",
        },
        {
            content: "Back to the overview",
            trigger: ".o_menu_sections .o_nav_entry:contains('Overview')",
            run: "click",
        },
        {
            content: "iUsed, which got the token, fetches the offers",
            trigger: "[data-step='products'][data-done='1']",
            async run() {
                const answer = await fetch("/iused/v1/offers", { headers: { Authorization: `Bearer ${key}` } });
                const offers = await answer.json();
                if (offers.length !== 1 || offers[0].sku !== "CONNECT-1") {
                    throw new Error(`The offers are ${JSON.stringify(offers)}`);
                }
            },
        },
        {
            content: "Look again",
            trigger: ".o_iused_refresh",
            run: "click",
        },
        {
            content: "iUsed has called; enter the address that it gave",
            trigger: ".o_iused_steps:has([data-step='share'][data-done='1']) [data-step='settings'] button",
            run: "click",
        },
        {
            content: "Type the webhook's address",
            trigger: "[name='iused_new_webhook_url'] input",
            run() {
                const cookie = document.cookie.split("; ").find((pair) => pair.startsWith("webhook="));
                this.anchor.value = decodeURIComponent(cookie.slice("webhook=".length));
                this.anchor.dispatchEvent(new Event("input", { bubbles: true }));
                this.anchor.dispatchEvent(new Event("change", { bubbles: true }));
            },
        },
        {
            content: "Save",
            trigger: ".o_form_button_save",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "It is set and not shown",
            trigger: "#iused_webhook .badge:contains('Set')",
        },
        {
            content: "Back to the overview",
            trigger: ".o_menu_sections .o_nav_entry:contains('Overview')",
            run: "click",
        },
        {
            content: "Test the address",
            trigger: "[data-step='test'][data-done='0'] button",
            run: "click",
        },
        {
            content: "It answers",
            trigger: "[data-step='test'][data-done='1']",
        },
    ],
});

/** After the first order nothing is left to do. Starts on the overview. */
registry.category("web_tour.tours").add("iused_connected", {
    steps: () => [
        {
            content: "All is well",
            trigger: ".o_iused_overview:not(:has(.o_iused_steps)) [data-state='well']:contains('All is well')",
        },
        {
            content: "The order is counted",
            trigger: "[data-count='orders_today'] .o_iused_number:contains('1')",
        },
    ],
});
