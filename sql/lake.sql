-- A DuckDB shell over a lake, from the project's folder: duckdb -init sql/lake.sql
-- Another lake: set variable lake = '<folder>'; the macros and views follow.
set variable lake = 'lake';
.read sql/macros/beyond_rounding.sql
.read sql/macros/latest_predictions.sql
.read sql/macros/normal95.sql
.read sql/macros/run_settings.sql
.read sql/macros/student95.sql
.read sql/macros/wilson.sql
.read sql/views/activations.sql
.read sql/views/completions.sql
.read sql/views/contexts.sql
.read sql/views/eligibility.sql
.read sql/views/embeddings.sql
.read sql/views/examples.sql
.read sql/views/explanations.sql
.read sql/views/labels.sql
.read sql/views/latents.sql
.read sql/views/neighbours.sql
.read sql/views/predictions.sql
.read sql/views/shortfalls.sql
.read sql/views/vocabulary.sql
.read sql/views/weights.sql
.read sql/views/windows.sql
.read sql/derived/documents.sql
.read sql/derived/positions.sql
.read sql/derived/runs.sql
.read sql/derived/top_windows.sql
.read sql/derived/window_text.sql
.read sql/scores/computed_scores.sql
.read sql/scores/correlations.sql
.read sql/scores/document_influences.sql
.read sql/scores/quantile_scores.sql
.read sql/scores/scores.sql
.read sql/scores/scores_of_latents.sql
