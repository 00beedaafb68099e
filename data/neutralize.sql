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

DELETE FROM iused_shipment_update
 WHERE state IN ('waiting', 'pending', 'retry', 'stopped');

UPDATE iused_sftp_location
   SET enabled = FALSE, host_key = NULL, seen_host_key = NULL;
