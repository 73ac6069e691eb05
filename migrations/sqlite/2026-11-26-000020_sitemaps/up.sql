-- How many stories a span of time has and when one of them last changed, withdrawn ones too, without reading the rows.
CREATE INDEX publications_by_time ON publications (published_ms, state, updated_ms);
