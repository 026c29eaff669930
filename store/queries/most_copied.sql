-- Which documents were found most often: the kept one and the number of copies dropped in its favour.
-- of: run
SELECT t.canonical, any_value(k.id) AS canonical_id, count(*) AS copies, count(DISTINCT d.file_path) AS files, min(d.date) AS first_copy, max(d.date_end) AS last_copy
FROM tags t JOIN documents d ON d.key = t.key LEFT JOIN tags k ON k.key = t.canonical
WHERE t.canonical IS NOT NULL
GROUP BY t.canonical
ORDER BY copies DESC, t.canonical
LIMIT 100
