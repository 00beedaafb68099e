import { registry } from "@web/core/registry";

const select = (sku) => ({
    content: `Select ${sku}`,
    trigger: `.o_data_row:contains('${sku}') .o_list_record_selector input`,
    run: "click",
});

/** A salesperson offers three products at once, and reads which of them lacks what. Starts on the list of offers. */
registry.category("web_tour.tours").add("iused_offer_in_bulk", {
    steps: () => [
        {
            content: "Show what is not offered yet, too",
            trigger: ".o_searchview_facet:contains('Offered on iUsed') .o_facet_remove",
            run: "click",
        },
        select("BULK-1"),
        select("BULK-2"),
        select("BULK-3"),
        {
            content: "Open the actions",
            trigger: ".o_cp_action_menus button:has(.fa-cog)",
            run: "click",
        },
        {
            content: "Offer them",
            trigger: ".o-dropdown--menu .o-dropdown-item:contains('Offer on iUsed')",
            run: "click",
        },
        {
            content: "It says how many are ready, and what the other lacks",
            trigger: ".o_notification:contains('2 of 3 products are ready'):contains('It has no EAN')",
        },
        {
            content: "The list shows it",
            trigger: ".o_data_row:contains('BULK-1') [name='iused_state'] .badge:contains('Ready')",
        },
        {
            content: "The list shows what is not ready",
            trigger: ".o_data_row:contains('BULK-3') [name='iused_state'] .badge:contains('Not ready')",
        },
    ],
});
