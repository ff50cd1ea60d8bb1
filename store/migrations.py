"""The schema, one function a step; steps are only ever added, and each runs in one transaction with its record."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from store.errors import StoreNewerError

Migration = Callable[[duckdb.DuckDBPyConnection], object]


def m001_initial(cursor: duckdb.DuckDBPyConnection) -> None:
    """Runs, seeds, calls, candidates, batches, steps, proposals, decisions and the log of events."""
    _execute(cursor, _INITIAL)


def m002_any_generator_any_data(cursor: duckdb.DuckDBPyConnection) -> None:
    """When and from what prompt a call was sent, probes, imports with their reports, held-out and reference tasks."""
    _execute(cursor, _ANY_DATA)


def m003_map(cursor: duckdb.DuckDBPyConnection) -> None:
    """Vectors of tasks, and the map that they are drawn on."""
    _execute(cursor, _MAP)


def m004_aim(cursor: duckdb.DuckDBPyConnection) -> None:
    """Iterations whose demonstrations a person chose."""
    cursor.execute(_AIM)


def m005_recording(cursor: duckdb.DuckDBPyConnection) -> None:
    """Runs that came as a recording."""
    cursor.execute(_RECORDING)


def m006_step_cost(cursor: duckdb.DuckDBPyConnection) -> None:
    """What IFD cost of a step's time, and how busy the device was."""
    cursor.execute("ALTER TABLE step ADD COLUMN ifd_seconds DOUBLE")
    cursor.execute("ALTER TABLE step ADD COLUMN device_busy DOUBLE")


def m007_curation(cursor: duckdb.DuckDBPyConnection) -> None:
    """Undo of one decision, bulk decisions, presses that arrive twice, work handed out, blind tests."""
    _execute(cursor, _CURATION)


MIGRATIONS: tuple[Migration, ...] = (
    m001_initial,
    m002_any_generator_any_data,
    m003_map,
    m004_aim,
    m005_recording,
    m006_step_cost,
    m007_curation,
)


def _execute(cursor: duckdb.DuckDBPyConnection, script: str) -> None:
    """Every statement of a script that has no semicolon in a text."""
    for statement in script.split(";"):
        if statement.strip():
            cursor.execute(statement)


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the store to this program's schema; raises StoreNewerError when it is already past it."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version "
        "(version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, applied TIMESTAMP NOT NULL)"
    )
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    version = int(row[0]) if row else 0
    if version > len(MIGRATIONS):
        raise StoreNewerError(
            f"The store has schema {version}; this program knows up to {len(MIGRATIONS)}.",
            "Update the program, or name another folder with --store DIR; nothing was changed.",
        )
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN")
        step(connection)
        connection.execute(
            "INSERT INTO schema_version VALUES (?, ?, current_timestamp AT TIME ZONE 'UTC')", [number, step.__name__]
        )
        connection.execute("COMMIT")


_INITIAL = """
CREATE TABLE run (
    run_id VARCHAR PRIMARY KEY,
    parent_run_id VARCHAR,
    parent_iteration INTEGER,
    config JSON NOT NULL,
    fingerprint VARCHAR NOT NULL,
    random_seed INTEGER NOT NULL,
    versions JSON,
    hardware JSON,
    status VARCHAR NOT NULL,
    iteration INTEGER NOT NULL DEFAULT 0,
    filled INTEGER NOT NULL DEFAULT 0,
    phase VARCHAR,
    outcome VARCHAR,
    cap VARCHAR,
    error VARCHAR,
    next_step VARCHAR,
    elapsed_s DOUBLE NOT NULL DEFAULT 0,
    checkpoint VARCHAR,
    checkpoint_sha256 VARCHAR,
    created TIMESTAMP NOT NULL,
    started TIMESTAMP,
    ended TIMESTAMP
);
CREATE TABLE seed (
    seed_id VARCHAR PRIMARY KEY,
    instruction VARCHAR NOT NULL,
    input VARCHAR NOT NULL,
    output VARCHAR NOT NULL,
    is_classification BOOLEAN NOT NULL,
    origin VARCHAR NOT NULL,
    parent_ids VARCHAR[] NOT NULL,
    content_hash VARCHAR NOT NULL,
    in_library BOOLEAN NOT NULL,
    added TIMESTAMP NOT NULL
);
CREATE TABLE run_seed (
    run_id VARCHAR NOT NULL,
    seed_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    status VARCHAR NOT NULL,
    credit DOUBLE,
    credit_sum DOUBLE NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    trained_children INTEGER NOT NULL DEFAULT 0,
    children INTEGER NOT NULL DEFAULT 0,
    added_iteration INTEGER NOT NULL,
    removed_iteration INTEGER,
    reason VARCHAR,
    promoted_by VARCHAR,
    evicted_by VARCHAR,
    decision_id BIGINT,
    PRIMARY KEY (run_id, seed_id)
);
CREATE TABLE call (
    run_id VARCHAR NOT NULL,
    call_index INTEGER NOT NULL,
    stage VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    iteration INTEGER NOT NULL,
    model VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    prompt_version VARCHAR NOT NULL,
    demo_seed_ids VARCHAR[] NOT NULL,
    demo_pool_ids VARCHAR[] NOT NULL,
    asked INTEGER NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    usage_source VARCHAR NOT NULL,
    cost_usd DOUBLE,
    latency_s DOUBLE NOT NULL,
    finish_reason VARCHAR,
    raw_reply VARCHAR,
    error VARCHAR,
    PRIMARY KEY (run_id, call_index, stage, position, attempt)
);
CREATE TABLE judgement (
    run_id VARCHAR NOT NULL,
    call_index INTEGER NOT NULL,
    iteration INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    parsed INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    unparseable INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    surplus INTEGER NOT NULL,
    PRIMARY KEY (run_id, call_index)
);
CREATE TABLE candidate (
    candidate_id VARCHAR PRIMARY KEY,
    run_id VARCHAR NOT NULL,
    iteration INTEGER NOT NULL,
    call_index INTEGER NOT NULL,
    position INTEGER NOT NULL,
    origin VARCHAR NOT NULL,
    parent_id VARCHAR,
    instruction VARCHAR NOT NULL,
    input VARCHAR NOT NULL,
    output VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,
    stage VARCHAR,
    reason VARCHAR,
    max_rouge_l DOUBLE,
    nearest_id VARCHAR,
    nearest_source VARCHAR,
    flags VARCHAR[] NOT NULL,
    window_iteration INTEGER
);
CREATE TABLE batch (
    run_id VARCHAR NOT NULL,
    iteration INTEGER NOT NULL,
    phase VARCHAR NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    members VARCHAR[] NOT NULL,
    clusters INTEGER[] NOT NULL,
    distinct_clusters INTEGER NOT NULL,
    largest_share DOUBLE NOT NULL,
    vendi DOUBLE NOT NULL,
    mean_distance DOUBLE NOT NULL,
    near_duplicates INTEGER NOT NULL,
    PRIMARY KEY (run_id, phase, step, attempt)
);
CREATE TABLE step (
    run_id VARCHAR NOT NULL,
    iteration INTEGER NOT NULL,
    phase VARCHAR NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    loss DOUBLE NOT NULL,
    heldout_loss DOUBLE,
    grad_norm DOUBLE NOT NULL,
    grad_norm_detrended DOUBLE,
    clipped BOOLEAN NOT NULL,
    lr DOUBLE NOT NULL,
    response_tokens INTEGER NOT NULL,
    seconds DOUBLE NOT NULL,
    tokens_per_s DOUBLE NOT NULL,
    memory_mb DOUBLE NOT NULL,
    micro_batch INTEGER NOT NULL,
    attractive BOOLEAN NOT NULL,
    superseded BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (run_id, phase, step, attempt)
);
CREATE TABLE example_signal (
    run_id VARCHAR NOT NULL,
    phase VARCHAR NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    candidate_id VARCHAR NOT NULL,
    loss DOUBLE NOT NULL,
    el2n DOUBLE NOT NULL,
    grand DOUBLE,
    ifd DOUBLE,
    response_tokens INTEGER NOT NULL,
    PRIMARY KEY (run_id, phase, step, attempt, candidate_id)
);
CREATE TABLE proposal (
    proposal_id VARCHAR PRIMARY KEY,
    run_id VARCHAR NOT NULL,
    iteration INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    subject_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,
    evidence JSON NOT NULL
);
CREATE SEQUENCE decision_number;
CREATE TABLE decision (
    decision_id BIGINT PRIMARY KEY DEFAULT nextval('decision_number'),
    subject VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    reason VARCHAR,
    "by" VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL,
    supersedes BIGINT
);
CREATE TABLE event (
    run_id VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL,
    elapsed_s DOUBLE NOT NULL,
    payload JSON,
    PRIMARY KEY (run_id, seq)
);
CREATE VIEW standing_decision AS
    SELECT subject, arg_max(decision_id, decision_id) AS decision_id, arg_max(kind, decision_id) AS kind,
           arg_max("by", decision_id) AS "by", arg_max("at", decision_id) AS "at",
           arg_max(reason, decision_id) AS reason
    FROM decision GROUP BY subject;
CREATE VIEW current_step AS SELECT * FROM step WHERE NOT superseded
"""

_ANY_DATA = """
ALTER TABLE call ADD COLUMN sent_at TIMESTAMP;
ALTER TABLE call ADD COLUMN journal_offset BIGINT;
ALTER TABLE call ADD COLUMN last_decision BIGINT;
CREATE TABLE probe (
    probe_id VARCHAR PRIMARY KEY,
    purpose VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL,
    "by" VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    prompt_version VARCHAR NOT NULL,
    request JSON NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    usage_source VARCHAR NOT NULL,
    cost_usd DOUBLE,
    latency_s DOUBLE NOT NULL,
    finish_reason VARCHAR,
    raw_reply VARCHAR,
    error VARCHAR
);
CREATE VIEW ledger AS
    SELECT c.run_id, c.stage AS purpose, coalesce(c.sent_at, run.started, run.created) AS "at", c.model, c.endpoint,
           c.prompt_tokens, c.completion_tokens, c.usage_source, c.cost_usd
    FROM call c JOIN run ON run.run_id = c.run_id
    UNION ALL
    SELECT NULL, purpose, "at", model, endpoint, prompt_tokens, completion_tokens, usage_source, cost_usd FROM probe;
CREATE TABLE import (
    import_id VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    mapping JSON NOT NULL,
    status VARCHAR NOT NULL,
    read BIGINT NOT NULL DEFAULT 0,
    taken BIGINT NOT NULL DEFAULT 0,
    duplicates BIGINT NOT NULL DEFAULT 0,
    refused BIGINT NOT NULL DEFAULT 0,
    error VARCHAR,
    next_step VARCHAR,
    "by" VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL,
    ended TIMESTAMP
);
CREATE TABLE import_fault (
    import_id VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    excerpt VARCHAR NOT NULL
);
CREATE TABLE imported_task (
    import_id VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    line BIGINT NOT NULL,
    instruction VARCHAR NOT NULL,
    input VARCHAR NOT NULL,
    output VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    PRIMARY KEY (import_id, position)
)
"""

_MAP = """
CREATE TABLE embedding (
    subject VARCHAR PRIMARY KEY,
    model VARCHAR NOT NULL,
    vector FLOAT[] NOT NULL
);
CREATE TABLE map_version (
    version INTEGER PRIMARY KEY,
    fitted TIMESTAMP NOT NULL,
    method VARCHAR NOT NULL,
    random_seed INTEGER NOT NULL,
    anchors INTEGER NOT NULL,
    records INTEGER NOT NULL,
    spacing DOUBLE NOT NULL,
    moved DOUBLE
);
CREATE TABLE map_point (
    version INTEGER NOT NULL,
    subject VARCHAR NOT NULL,
    x DOUBLE NOT NULL,
    y DOUBLE NOT NULL,
    is_anchor BOOLEAN NOT NULL,
    distance DOUBLE NOT NULL,
    PRIMARY KEY (version, subject)
);
CREATE VIEW task AS
    SELECT 'seed:' || seed_id AS subject, CAST(NULL AS VARCHAR) AS run_id, instruction, input, output FROM seed
    UNION ALL
    SELECT 'reference:' || import_id || '/' || position, NULL, instruction, input, output
    FROM imported_task JOIN import USING (import_id) WHERE target = 'reference'
    UNION ALL
    SELECT 'candidate:' || candidate_id, run_id, instruction, input, output FROM candidate
"""

_AIM = """
CREATE TABLE aim (
    run_id VARCHAR NOT NULL,
    iteration INTEGER NOT NULL,
    demo_ids VARCHAR[] NOT NULL,
    "by" VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL,
    PRIMARY KEY (run_id, iteration)
)
"""

_RECORDING = """
CREATE TABLE recording (
    run_id VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    "by" VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL
)
"""

# An undo takes back the decision that it names, or with none named all that stood before it on its subject. A flag and
# a use as seed are marks beside what is decided of a task's fate: a task that was rejected stays rejected when flagged.
_CURATION = """
ALTER TABLE decision ADD COLUMN undoes BIGINT;
ALTER TABLE decision ADD COLUMN group_id VARCHAR;
ALTER TABLE decision ADD COLUMN queue VARCHAR;
ALTER TABLE decision ADD COLUMN result VARCHAR;
ALTER TABLE seed ADD COLUMN listed BOOLEAN;
UPDATE seed SET listed = in_library AND origin <> 'machine';
CREATE TABLE press (
    press VARCHAR PRIMARY KEY,
    decision_id BIGINT
);
CREATE TABLE assignment (
    subject VARCHAR NOT NULL,
    annotator VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL,
    PRIMARY KEY (subject, annotator)
);
CREATE TABLE blind_test (
    test_id VARCHAR PRIMARY KEY,
    run_id VARCHAR NOT NULL,
    random_seed INTEGER NOT NULL,
    per_rule INTEGER NOT NULL,
    "by" VARCHAR NOT NULL,
    "at" TIMESTAMP NOT NULL
);
CREATE TABLE blind_item (
    test_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    candidate_id VARCHAR NOT NULL,
    iteration INTEGER NOT NULL,
    rules VARCHAR[] NOT NULL,
    PRIMARY KEY (test_id, position)
);
DROP VIEW standing_decision;
CREATE VIEW effective_decision AS
    SELECT d.*, d.kind IN ('accept', 'reject', 'rescue', 'edit') AS of_fate
    FROM decision d LEFT JOIN (
        SELECT subject, max(decision_id) AS cleared FROM decision WHERE kind = 'undo' AND undoes IS NULL
        GROUP BY subject
    ) c ON c.subject = d.subject
    WHERE d.kind <> 'undo' AND d.decision_id > coalesce(c.cleared, 0)
    AND d.decision_id NOT IN (SELECT undoes FROM decision WHERE undoes IS NOT NULL);
CREATE VIEW standing_decision AS
    SELECT word.subject, word.decision_id, stands.latest.kind AS kind, stands.latest."by" AS "by",
           stands.latest."at" AS "at", stands.latest.reason AS reason, stands.latest.result AS result,
           coalesce(stands.flagged, false) AS flagged
    FROM (SELECT subject, max(decision_id) AS decision_id FROM decision WHERE kind <> 'skip' GROUP BY subject) word
    LEFT JOIN (
        SELECT subject, max_by(
                   {'kind': kind, 'by': "by", 'at': "at", 'reason': reason, 'result': result},
                   decision_id + if(of_fate, 1000000000000, 0)) AS latest,
               coalesce(max(decision_id) FILTER (kind = 'flag'), 0)
                   > coalesce(max(decision_id) FILTER (of_fate), 0) AS flagged
        FROM effective_decision WHERE kind <> 'skip' GROUP BY subject
    ) stands ON stands.subject = word.subject;
CREATE VIEW opinion AS
    SELECT subject, "by", max_by(kind, decision_id) AS kind, max(decision_id) AS decision_id
    FROM effective_decision WHERE of_fate AND "by" <> 'rule' GROUP BY subject, "by"
"""
