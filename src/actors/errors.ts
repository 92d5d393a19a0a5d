/**
 * Every error code of the package: whether trying again can help, what happened, and what to do next.
 * docs/errors.md is generated from this table. Codes never change their meaning; texts may improve.
 */
export const errorCodes = {
  // Definition
  MACHINE_INVALID: {
    retryable: false,
    when: 'What was given as a machine is not an XState v5 machine.',
    next: 'Pass the result of `createMachine` or `defineMachine`.',
  },
  MACHINE_UNSUPPORTED: {
    retryable: false,
    when: 'The machine uses something that a durable run cannot hold.',
    next: 'The error names the place in the machine and what to write instead.',
  },
  POLICY_INVALID: {
    retryable: false,
    when: 'An option of `defineMachine` has a value it cannot have.',
    next: 'Correct the option that the error names.',
  },
  MACHINE_MISMATCH: {
    retryable: false,
    when: 'The run belongs to another machine version than any that was given.',
    next: 'Pass the machine of the run too: a list of machines is accepted everywhere. Or, if it is an older one, declare a migration with `defineMachine`; `details.diff` lists what differs.',
  },
  MIGRATION_FAILED: {
    retryable: false,
    when: 'A migration threw, or gave a state that the new machine cannot be in. Nothing was changed.',
    next: 'Correct the migration that the error names, and open the run again.',
  },

  // Events and state
  EVENT_INVALID: {
    retryable: false,
    when: 'An event, also one that an invocation sends its parent, is not a plain JSON object with a string `type`.',
    next: 'Send `{ type: "…" }` with JSON values only; `details.path` names the place.',
  },
  EVENT_RESERVED: {
    retryable: false,
    when: 'An event from outside, or of an invocation for its parent, has a type that only the runtime may write (`xstate.*`, `xmachines.*`).',
    next: 'Rename the event type.',
  },
  EVENT_TOO_LARGE: {
    retryable: false,
    when: 'An event, its depth or its batch is over a limit.',
    next: 'Send less at once, or raise `limits` where the run is opened in code: the command line has none.',
  },
  EVENT_REJECTED_BY_SCHEMA: {
    retryable: false,
    when: 'The event does not fit the schema that the machine declares.',
    next: 'Correct the event; `details.issues` lists what the schema found.',
  },
  EVENT_UNHANDLED: {
    retryable: false,
    when: 'No transition takes the event, and the machine declares `unhandled: "reject"`.',
    next: 'Send an event that the current state takes, or declare `unhandled: "accept"`.',
  },
  STEP_FAILED: {
    retryable: false,
    when: 'A guard, an action or another expression of the machine threw while it handled the event.',
    next: '`cause` is what was thrown. Nothing was changed unless the error is fatal.',
  },
  STEP_IMPURE: {
    retryable: false,
    when: 'Strict mode: a step used something that answers otherwise at another time or place, or acts outside of the run.',
    next: 'The error names the action or guard, what it used, and what to use instead. The history is as it was.',
  },
  STEP_MUTATES: {
    retryable: false,
    when: 'Strict mode: an action or a guard changed the context or an event in place.',
    next: 'Return a new value from `assign`; `details.path` names the place. The history is as it was.',
  },
  STEP_NOT_DETERMINISTIC: {
    retryable: false,
    when: 'Strict mode: the same unit was decided twice, with two results.',
    next: '`details.path` names the first difference. Use `now()`, `random()` and `uuid()`, and keep what changes in the context.',
  },
  SNAPSHOT_INVALID: {
    retryable: false,
    when: 'The snapshot that a run should start from is not one of its machine.',
    next: 'Pass what `getPersistedSnapshot()` gave of an actor of the same machine; `details.path` names the place.',
  },
  TIMERS_ENDLESS: {
    retryable: false,
    when: "Under `time: 'source'` timers arm one another without a delay, so that the event which lets time pass would never be decided. Neither it nor any of them is recorded.",
    next: 'Give one of the timers a delay of more than 0, or use `raise` or `always`.',
  },
  STATE_NOT_JSON: {
    retryable: false,
    when: 'The step left something in the context that is not JSON.',
    next: 'Keep JSON values and actor references in context; `details.path` names the place.',
  },
  OUTPUT_NOT_JSON: {
    retryable: false,
    when: 'The machine emitted or output something that is not JSON.',
    next: 'Emit JSON values only; `details.path` names the place.',
  },
  INPUT_INVALID: {
    retryable: false,
    when: 'The input of a run is not JSON.',
    next: 'Pass JSON values only; `details.path` names the place.',
  },
  OUTCOME_NOT_JSON: {
    retryable: false,
    when: 'An invocation resolved to, sent back or emitted a value that is not JSON. The value is not recorded, this error is: it is the outcome.',
    next: 'Return JSON values from the logic; `details.path` names the place.',
  },
  OUTCOME_TOO_LARGE: {
    retryable: false,
    when: 'An invocation resolved to, sent back or emitted a value of more than 1 MiB of JSON, or one that is nested too deep. The value is not recorded, this error is: it is the outcome.',
    next: 'Store the value elsewhere and return a reference. The limit is fixed: every replay reads outcomes again.',
  },
  INVOCATION_INTERRUPTED: {
    retryable: false,
    when: 'An invocation was started and its process ended before it did: its outcome is unknown, and its policy allows no further attempt.',
    next: 'Handle it in `onError`: look by the key in the message what became of it. Declare `retry` for what may be repeated.',
  },
  INVOCATION_TIMED_OUT: {
    retryable: true,
    when: 'An attempt of an invocation took longer than its `timeout` and was aborted.',
    next: 'Handle it in `onError`, allow more `attempts`, or raise `timeout`.',
  },
  INVOCATION_UNKNOWN: {
    retryable: false,
    when: '`invocation()` was called where no invocation of a run is being started.',
    next: 'Call it in the logic before its first `await`, and keep what it returns.',
  },

  // Runs
  RUN_FINISHED: {
    retryable: false,
    when: 'The run has ended and takes no more events.',
    next: 'Start a new run, or fork this one before its end.',
  },
  HOST_CLOSED: {
    retryable: false,
    when: 'A run was opened on a host that is closed.',
    next: 'Create another host.',
  },
  RUN_CLOSED: {
    retryable: true,
    when: 'The handle was closed before the event was applied.',
    next: 'Open the run again and send the event once more.',
  },
  RUN_UNKNOWN: {
    retryable: false,
    when: 'The store has no such run.',
    next: 'Check the key, the namespace and the store.',
  },
  RUN_EXISTS: { retryable: false, when: 'The key is pinned to another run.', next: 'Use `openRun` to go on with it.' },
  RUN_AMBIGUOUS: { retryable: false, when: 'The prefix fits several runs.', next: 'Give more digits.' },
  RUN_DAMAGED: {
    retryable: false,
    when: 'The history does not lead to a state: a unit is missing or cannot be decided.',
    next: '`details.seq` names the unit. Fork before it, or restore the store from a copy.',
  },
  RUN_PARKED: {
    retryable: false,
    when: 'The run failed repeatedly for its own reason and stands parked.',
    next: 'Mend the cause, then `xmachines unpark STORE RUN`, or `unparkRun(store, run)`: the way in the process that writes to an embedded store. What was refused meanwhile is among the dead letters.',
  },
  REPLAY_DIVERGED: {
    retryable: false,
    when: 'A unit decided again gives another result than was recorded.',
    next: '`details` names seq and kind. Pin the old machine, migrate the run to the new one, or fork it before the unit.',
  },
  TIME_MODE_MISMATCH: {
    retryable: false,
    when: 'The run was created with the other time mode.',
    next: 'Open it with the mode that the error names.',
  },
  TELL_INVALID: {
    retryable: false,
    when: '`tell` was given an address or an event that is none.',
    next: 'Give `{ machine, key }` or `{ namespace, key }`, and an event: JSON with a type that is not reserved.',
  },
  TELL_OUTSIDE_RUN: {
    retryable: false,
    when: 'An action made with `tell` was executed by something else than a run: a plain `createActor`, say.',
    next: 'Run the machine with `openRun` or `createRun`, or provide another action of that name in the test.',
  },
  SPAWN_INVALID: {
    retryable: false,
    when: '`spawnRun` was given a key, an input or a policy that is none.',
    next: 'Give `{ key }`, a string that is not empty, an `input` of JSON values, and a policy of its documentation.',
  },
  SPAWN_OUTSIDE_RUN: {
    retryable: false,
    when: 'An action made with `spawnRun` was executed by something else than a run: a plain `createActor`, say.',
    next: 'Run the machine with `openRun` or `createRun`, or provide another action of that name in the test.',
  },
  CHILD_FAILED: {
    retryable: false,
    when: 'A child run failed that was spawned with the policy `escalate`: it ended its parent.',
    next: '`details` names the child. Spawn it with another policy to handle `xmachines.error.run` instead.',
  },
  RUN_STOPPED: {
    retryable: false,
    when: 'A child run was stopped, by somebody or because its parent ended. Its parent is told so.',
    next: 'Handle `xmachines.error.run`; the message says why it was stopped.',
  },
  MAILBOX_FULL: {
    retryable: true,
    when: 'More events wait in the run than its mailbox holds; or a callback or observable told more, and was stopped with this error.',
    next: 'Await receipts, or write to `in`, which holds back. Let the logic tell less often, or take the error in `onError`.',
  },
  CHILD_SEND_OUTSIDE_STEP: {
    retryable: false,
    when: 'A child actor was sent an event outside a step, which no history could hold.',
    next: 'Send to the run and let the machine use `sendTo`.',
  },
  EFFECT_FAILED: {
    retryable: false,
    when: 'A custom action, or an inspector, threw after the unit was durable.',
    next: 'The run is not affected. Use an invocation for what must succeed.',
  },

  // Leases and appends
  LEASE_HELD: {
    retryable: true,
    when: 'Another process owns the partition that the run belongs to.',
    next: 'Send the event through the broker, or to the owner that `details` names. `xmachines lease release` ends an owner that is gone.',
  },
  LEASE_LOST: {
    retryable: true,
    when: 'The lease under which this process wrote is no longer its own.',
    next: 'Nothing was written after it. The new owner goes on; reopen to read.',
  },
  LEASE_MISPLACED: {
    retryable: false,
    when: 'A record of a run came from another partition than the run is pinned to.',
    next: 'Restore the partition count or the partitioner of the topic.',
  },
  RUN_CONFLICT: {
    retryable: true,
    when: 'Another writer appended to the run first, again and again.',
    next: 'Send the event again.',
  },

  // Stores
  STORE_UNAVAILABLE: {
    retryable: true,
    when: 'The store could not take the operation; nothing was written.',
    next: '`cause` says why. Try again when it is reachable; a run that was open is opened again first.',
  },
  STORE_OUTCOME_UNKNOWN: {
    retryable: true,
    when: 'The store failed while it wrote: the append may have happened.',
    next: 'Reopen the run and look, or repeat with the same `source` or `id`.',
  },
  STORE_CLOSED: { retryable: false, when: 'The store is closed.', next: 'Open it again.' },
  STORE_LOCKED: {
    retryable: true,
    when: 'Another process writes to the store.',
    next: 'Stop the process that `details` names, or read only.',
  },
  STORE_DAMAGED: {
    retryable: false,
    when: 'The store holds bytes that it cannot have written.',
    next: 'The error names file and offset. Restore that file from a copy; nothing was changed.',
  },
  STORE_FOREIGN: {
    retryable: false,
    when: 'The place holds something that is not a store of this kind.',
    next: 'Give an empty or new place.',
  },
  STORE_MISSING: {
    retryable: false,
    when: 'There is no store at the place, and it was opened to read, or not to be made; or its directory was moved away while it was open.',
    next: 'Check the path, the schema or the prefix.',
  },
  STORE_READ_ONLY: {
    retryable: false,
    when: 'The store may not be written to.',
    next: 'Give this process the right to write.',
  },
  STORE_REFUSED: {
    retryable: false,
    when: 'The server of the store does not let this user in or read, or has no such database.',
    next: 'Check user, password and database, and what the user may read.',
  },
  STORE_FULL: {
    retryable: true,
    when: 'There is no space left; nothing was acknowledged.',
    next: 'Free space; the store goes on when it is opened again.',
  },
  STORE_FORMAT: {
    retryable: false,
    when: 'The store was written by a version that this one does not read.',
    next: 'Use the version that the error names, or export and import.',
  },
  STORE_UNSAFE: {
    retryable: false,
    when: 'The server is set so that it may lose what it acknowledged, or answers for others: a replica, an eviction policy, an encoding.',
    next: 'The error names the setting and the value it must have.',
  },
  STORE_ROLLED_BACK: {
    retryable: false,
    when: 'The server has forgotten what it acknowledged: it failed over, or was restored from a copy.',
    next: 'Decide which history holds; the error says what is missing. Then make a new store, which takes the server as it is.',
  },
  OBJECT_FORMAT_MISMATCH: {
    retryable: false,
    when: 'The store was made with the other hash.',
    next: 'Open it with the `objectFormat` that the error names.',
  },
  UNIT_ID_UNKNOWN: {
    retryable: false,
    when: 'The id of a unit was asked for in a read that was opened without ids.',
    next: 'Read with `ids: true`.',
  },
  COMMIT_DAMAGED: {
    retryable: false,
    when: 'A commit of a repository, or an object that it stands on, is missing or is not what its id says.',
    next: '`details.commit` is the first bad one of the run. Fetch it from a clone that has it whole.',
  },
  HISTORY_SHALLOW: {
    retryable: false,
    when: 'The clone is shallow: it ends before the unit that was asked for.',
    next: 'Run `git fetch --unshallow`, or read from the unit that `details.from` names.',
  },
  ARCHIVE_DIFFERS: {
    retryable: false,
    when: 'A branch of the repository has another history of the run than the store that is archived there, or than another remote of the clone.',
    next: 'Archive into another repository, or give the branch another name. `details.run` names the run, `details.seq` the unit.',
  },
  PUSH_REFUSED: {
    retryable: false,
    when: 'A push would take commits away from a branch, set it to something that is not what its name says, change what was recorded, or bring a second run of a key.',
    next: 'Fetch first, and push only commits that follow. `details.ref` names the branch, `details.pinned` the run that has the key.',
  },
  IMPORT_DIFFERS: {
    retryable: false,
    when: 'An imported history differs from the one that the store has.',
    next: '`details.seq` is the first unit that differs. Import into another store.',
  },
  IMPORT_INVALID: {
    retryable: false,
    when: 'What is imported is not what an export wrote.',
    next: 'The error names the line. Export again.',
  },

  // Streams and framing
  ABORTED: { retryable: true, when: 'The caller aborted the operation.', next: '`cause` is the reason of the signal.' },
  LINE_INVALID: {
    retryable: false,
    when: 'A line is not one JSON value in UTF-8.',
    next: '`details` names line and byte. Correct it, or read with `onBadLine: "skip"`.',
  },
  LINE_TOO_LONG: {
    retryable: false,
    when: 'A line, an event or a value of a byte stream is over the limit.',
    next: 'Raise the limit that the error names, or split the record.',
  },
  FRAME_INVALID: {
    retryable: false,
    when: 'A value cannot be written in this framing.',
    next: 'The error names what is wrong: pass JSON values, and fields of one line where the format wants it.',
  },
  BUFFER_OVERFLOW: {
    retryable: false,
    when: 'A source that cannot be held back gave more than the buffer holds.',
    next: 'Read faster, raise `buffer`, or choose an `overflow` that drops.',
  },

  // Brokers
  BROKER_CLOSED: { retryable: false, when: 'The broker, consumer or producer is closed.', next: 'Make a new one.' },
  BROKER_UNAVAILABLE: {
    retryable: true,
    when: 'The broker could not take the operation.',
    next: '`cause` says why. Try again when it is reachable.',
  },
  BROKER_REFUSED: {
    retryable: false,
    when: 'The cluster refuses this user, or what it asks for.',
    next: 'Check credentials and permissions; the error names what was refused.',
  },
  BROKER_UNSUPPORTED: {
    retryable: false,
    when: 'The client library or the cluster lacks what is needed.',
    next: 'Install the version that the error names.',
  },
  BROKER_UNSAFE: {
    retryable: false,
    when: 'The cluster acknowledges records that it may lose.',
    next: 'Correct the setting that the error names, or accept it explicitly.',
  },
  TOPIC_UNKNOWN: {
    retryable: false,
    when: 'The cluster has no such topic.',
    next: 'Create it; the error says how. Topics are never created by their use.',
  },
  GROUP_FOREIGN: {
    retryable: false,
    when: 'The group is in use by another application.',
    next: 'Give this application a group of its own.',
  },
  GROUP_MISMATCH: {
    retryable: false,
    when: 'The members of the group have options that this one has not, and that all must have alike: a record would mean another thing with each holder of its partition.',
    next: 'Give all members the same options; to change them, stop the others first. Nothing was read.',
  },
  PARTITIONS_CHANGED: {
    retryable: false,
    when: 'The topic has another number of partitions than when the group last committed, so keys have moved.',
    next: 'Nothing was read. Move to a new topic with the number that you want.',
  },
  RECORD_TOO_LARGE: {
    retryable: false,
    when: 'A record is over what the topic takes.',
    next: "Send less in one record, or raise the topic's `max.message.bytes`.",
  },
  RECORD_REFUSED: {
    retryable: false,
    when: 'The topic takes no such record: for its time, for want of a key, or for its schema.',
    next: 'Correct what the error names, in the record or in the configuration of the topic.',
  },
  PARTITION_INVALID: {
    retryable: false,
    when: 'The topic has no such partition.',
    next: 'Leave the partition to the broker, or name one that exists.',
  },
  OFFSET_OUT_OF_RANGE: {
    retryable: false,
    when: 'The committed offset is outside of what the topic keeps.',
    next: 'Records are gone. Start the group at an explicit `from`.',
  },
  RECORDS_EXPIRING: {
    retryable: false,
    when: 'A warning: records of a lease are stamped longer ago than their topic keeps records, which may delete them before they are read.',
    next: 'Raise the retention of the topic (`retention.ms`), or stamp records when they are sent and have `decode` read the time that they are of from the value.',
  },
  RECORD_UNDECODABLE: {
    retryable: false,
    when: 'A record could not be decoded to a key and events.',
    next: 'It goes to the dead letters. Correct the producer, or pass `decode`.',
  },
  RECORD_GONE: {
    retryable: false,
    when: 'A dead letter points at its record, which was too large for it, and the topic does not keep that any more.',
    next: 'Send it from where it came from first. `xmachines dlq replay --except RECORD_GONE` passes such letters over.',
  },
  REPLAY_SUPERSEDED: {
    retryable: true,
    when: 'Another replay of the same dead letters has begun.',
    next: 'What this one had committed is done, and the other one goes on from there. Let one of them end.',
  },
  SUPERVISOR_STOPPED: {
    retryable: false,
    when: 'A lease stands stopped: something needs a person before its records can go on.',
    next: '`details` names the lease and the reason.',
  },

  // Testing
  SIMULATION_FAILED: {
    retryable: false,
    when: 'A seed of `simulate` failed: an invariant, or a law that holds for every run.',
    next: 'The message says what happened and how to run that seed alone.',
  },

  // Command line
  USAGE_INVALID: {
    retryable: false,
    when: 'The command line is not one that the command takes.',
    next: 'Correct what the error names; `--help` shows what the command takes.',
  },
  STORE_UNSUPPORTED: {
    retryable: false,
    when: 'There is no driver for a store of this kind, or for what it should be kept in.',
    next: 'Give a directory.',
  },
  MODULE_INVALID: {
    retryable: false,
    when: 'The machine file could not be loaded, or exports no machine.',
    next: 'Name the export: `--machine FILE#export`.',
  },
  LOG_CHANGED: {
    retryable: false,
    when: 'The log under this name is not the one that was consumed before.',
    next: 'Give the new log another `--topic`.',
  },
  LIBRARY_MISSING: {
    retryable: false,
    when: 'An optional library is not installed, or a bundle cannot load it.',
    next: 'Install the package that the error names; where it is installed, mark it as external to the bundler.',
  },
} as const satisfies Record<string, { readonly retryable: boolean; readonly when: string; readonly next: string }>

/** A stable name of what went wrong: a key of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

const brand = Symbol.for('xmachines.error')

/** Plain data about an error, for logs and for code that reacts. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/**
 * The one error class of the package. Branch on `code`, never on the text.
 *
 * `retryable` answers whether the same call can succeed later; `details` is plain data; `cause` is what was underneath.
 * {@link XMachinesError.is} works across copies of the package.
 */
export class XMachinesError extends Error {
  override readonly name = 'XMachinesError'
  /** What went wrong, by a name that stays: a key of {@link errorCodes}. */
  readonly code: ErrorCode
  /** Whether the same call can succeed later, with nothing changed by the caller. */
  readonly retryable: boolean
  /** What the text speaks of, as plain data: which fields there are is of the code. @default none */
  readonly details: ErrorDetails
  /** @param message what happened, with what value, and what to do next */
  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = errorCodes[code].retryable
    this.details = options.details ?? {}
    Object.defineProperty(this, brand, { value: true })
  }

  /** Whether `value` is an error of this package (of any copy of it), with `code` if one is given. */
  static is<TCode extends ErrorCode = ErrorCode>(
    value: unknown,
    code?: TCode | undefined,
  ): value is XMachinesError & { readonly code: TCode } {
    if (typeof value !== 'object' || value === null || !(brand in value)) return false
    return code === undefined || ('code' in value && value.code === code)
  }

  /** The error as plain data, without its stack. */
  toJSON(): {
    readonly code: ErrorCode
    readonly message: string
    readonly retryable: boolean
    readonly details: ErrorDetails
  } {
    return { code: this.code, message: this.message, retryable: this.retryable, details: this.details }
  }
}

/** An `ABORTED` error for `signal`, carrying the caller's reason. */
export function aborted(signal: AbortSignal): XMachinesError {
  return new XMachinesError('ABORTED', 'The operation was aborted by its caller.', { cause: signal.reason })
}

/** The message of anything that can be thrown. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    // Anything can be thrown, also what has no text: `Object.create(null)`, an error whose message throws.
    return 'what was thrown has no text'
  }
}

/** Anything that was thrown, as a coded error. */
export function asError(thrown: unknown, code: ErrorCode): XMachinesError {
  return XMachinesError.is(thrown) ? thrown : new XMachinesError(code, messageOf(thrown), { cause: thrown })
}
