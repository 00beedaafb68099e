-- A copied database must not report shipments to iUsed, and iUsed must not get in.
UPDATE res_company
   SET iused_webhook_tested_at = NULL,
       iused_sending_stopped = NULL,
       iused_sending_stopped_at = NULL;

DELETE FROM iused_secret;

DELETE FROM res_users_apikeys
 WHERE scope = 'iused';

DELETE FROM iused_shipment_update
 WHERE state IN ('waiting', 'pending', 'retry', 'stopped');

UPDATE iused_sftp_location
   SET enabled = FALSE, host_key = NULL, seen_host_key = NULL;
