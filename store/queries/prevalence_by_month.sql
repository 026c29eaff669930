-- The estimated machine share of each month of capture beside the counts of tags; months before 2020 are placebos, whose true share is 0.
-- of: run
SELECT value AS month, documents, estimated, hosts, human, machine_generated, machine_translated, unknown, share, share_low, share_high,
    rogan_gladen_low, rogan_gladen_high, placebo, covers_zero, note
FROM prevalence
WHERE dimension = 'month'
ORDER BY 1
