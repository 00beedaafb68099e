import { registry } from "@web/core/registry";

import { closeToken, confirmIdentity } from "./steps";

/** An administrator enters the webhook's address. */
registry.category("web_tour.tours").add("iused_enter_webhook", {
    steps: () => [
        {
            content: "Type the webhook's address",
            trigger: "[name='iused_new_webhook_url'] input",
            run: "edit https://portal.iused.example/webhook/shipment/18/SECRET",
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
    ],
});

/** An administrator makes an access token, and sees it once. */
registry.category("web_tour.tours").add("iused_make_token", {
    steps: () => [
        {
            content: "The webhook's address is set and not shown",
            trigger: "#iused_webhook:has(.badge:contains('Set')) [name='iused_new_webhook_url'] input",
            run() {
                if (this.anchor.value) {
                    throw new Error("The webhook's address came back into the form");
                }
            },
        },
        {
            content: "Make a token",
            trigger: "button[name='action_iused_make_token']",
            run: "click",
        },
        {
            content: "Give it a name",
            trigger: ".modal [name='name'] input",
            run: "edit Acceptance",
        },
        {
            content: "Make it",
            trigger: ".modal button[name='action_make']",
            run: "click",
        },
        ...confirmIdentity,
        {
            content: "The token is shown",
            trigger: ".modal [name='key'] .o_clipboard_button, .modal .o_field_CopyClipboardChar",
        },
        closeToken,
        {
            content: "The token is listed",
            trigger: "body:not(:has(.modal)) [name='iused_token_ids'] .o_kanban_record:contains('Acceptance'):contains('Not used yet')",
        },
    ],
});

/** An administrator tests the webhook, and revokes the only token. */
registry.category("web_tour.tours").add("iused_test_and_revoke", {
    steps: () => [
        {
            content: "Test the webhook",
            trigger: "#iused_webhook button[name='action_iused_test_webhook']",
            run: "click",
        },
        {
            content: "It answers",
            trigger: ".o_notification:contains('The address answers')",
        },
        {
            content: "When it answered is remembered",
            trigger: "#iused_webhook:contains('It answered on')",
        },
        {
            content: "Revoke the token",
            trigger: "#iused_token button[name='iused_revoke']",
            run: "click",
        },
        {
            content: "Really",
            trigger: ".modal:contains('refused from now on') footer .btn-primary",
            run: "click",
        },
        ...confirmIdentity,
        {
            content: "There is no token any more",
            trigger: "body:not(:has(.modal)) #iused_token:not(:has([name='iused_revoke']))",
        },
    ],
});
