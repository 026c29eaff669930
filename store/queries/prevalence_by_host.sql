-- The estimated machine share of each large host beside the counts of tags; smaller ones are one row.
-- of: run
SELECT value AS host, documents, estimated, hosts, human, machine_generated, machine_translated, unknown, share, share_low, share_high,
    rogan_gladen_low, rogan_gladen_high, note
FROM prevalence
WHERE dimension = 'host'
ORDER BY documents DESC, host
