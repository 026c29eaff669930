-- Why records became no document: each stage and reason, with one example.
-- of: run, snapshot
SELECT stage, reason, count(*) AS records, arg_min(file_path, key) AS example_file, arg_min("offset", key) AS example_offset, arg_min(detail, key) AS example_detail
FROM rejects
GROUP BY stage, reason
ORDER BY records DESC, stage, reason
