-- A copied database must not report shipments to iUsed, and iUsed must not get in.
UPDATE res_company
   SET iused_webhook_tested_at = NULL,
       iused_sending_stopped = NULL,
       iused_sending_stopped_at = NULL;

-- A dump from before version 19.0.1.1.0 has its secrets in columns, and no table of them.
DO $$
BEGIN
    IF to_regclass('iused_secret') IS NOT NULL THEN
        DELETE FROM iused_secret;
    ELSE
        UPDATE res_company SET iused_webhook_url = NULL;
        UPDATE iused_sftp_location SET password = NULL, private_key = NULL, passphrase = NULL;
    END IF;
END
$$;

DELETE FROM res_users_apikeys
 WHERE scope = 'iused';

-- Nor does it keep the bodies of calls, which name consumers.
UPDATE iused_exchange
   SET request_body = NULL, answer_body = NULL, detail = NULL
 WHERE kind IN ('order', 'shipment')
   AND (request_body IS NOT NULL OR answer_body IS NOT NULL OR detail IS NOT NULL);

-- That iUsed may know of an update is told by whether there is a body.
UPDATE iused_shipment_update
   SET body = CASE WHEN body != '' THEN '(erased)' END, last_answer = NULL
 WHERE body IS NOT NULL OR last_answer IS NOT NULL;

DELETE FROM iused_shipment_update
 WHERE state IN ('waiting', 'pending', 'retry', 'stopped');

UPDATE iused_sftp_location
   SET enabled = FALSE, host_key = NULL, seen_host_key = NULL;
