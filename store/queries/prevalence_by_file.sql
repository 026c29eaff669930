-- The estimated machine share of each source file beside the counts of tags; small ones are one row.
-- of: run
SELECT value AS file, documents, estimated, hosts, human, machine_generated, machine_translated, unknown, share, share_low, share_high,
    rogan_gladen_low, rogan_gladen_high, note
FROM prevalence
WHERE dimension = 'file'
ORDER BY documents DESC, file
