-- The estimated machine share of each language beside the counts of tags.
-- of: run
SELECT value AS language, documents, estimated, hosts, human, machine_generated, machine_translated, unknown, share, share_low, share_high,
    rogan_gladen_low, rogan_gladen_high, note
FROM prevalence
WHERE dimension = 'language'
ORDER BY documents DESC, language
