import { registry } from "@web/core/registry";
import { cookie } from "@web/core/browser/cookie";

/** An accountant invoices what left until the end of last month. */
registry.category("web_tour.tours").add("iused_invoice_month", {
    steps: () => [
        {
            content: "What left is listed by month",
            trigger: ".o_list_view .o_group_header",
        },
        {
            content: "Invoice a period",
            trigger: ".o_control_panel button:contains('Invoice a Period')",
            run: "click",
        },
        {
            content: "Three orders left",
            trigger: ".modal [name='orders']:contains('3')",
        },
        {
            content: "Make the invoice",
            trigger: ".modal button[name='action_invoice']",
            run: "click",
        },
        {
            content: "One draft invoice has all devices",
            trigger: ".o_form_view [name='invoice_line_ids'] tr.o_data_row:eq(2)",
        },
    ],
});

/** An accountant puts iUsed's statement beside ours. The cookie `statement` has the file, as text. */
registry.category("web_tour.tours").add("iused_compare_statement", {
    steps: () => [
        {
            content: "Choose iUsed's statement",
            trigger: "[name='theirs'] .o_select_file_button",
            run() {
                const chosen = new DataTransfer();
                chosen.items.add(new File([decodeURIComponent(cookie.get("statement"))], "iused.csv"));
                const input = document.querySelector("[name='theirs'] input[type='file']");
                input.files = chosen.files;
                input.dispatchEvent(new Event("change", { bubbles: true }));
            },
        },
        {
            content: "The columns are found by their headings",
            trigger: "[name='column_amount'] input:value(Bedrag)",
        },
        {
            content: "Compare",
            trigger: "button[name='action_compare']",
            run: "click",
        },
        {
            content: "Three things differ",
            trigger: ".alert:contains('1 agree, 3 differ')",
        },
        {
            content: "One by its price",
            trigger: "[name='difference_ids'] tr:contains('Other price'):contains('189.00')",
        },
        {
            content: "One is iUsed's alone",
            trigger: "[name='difference_ids'] tr:contains('Only iUsed has it'):contains('no such order')",
        },
        {
            content: "One is ours alone",
            trigger: "[name='difference_ids'] tr:contains('Only we have it')",
        },
    ],
});
