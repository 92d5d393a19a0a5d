import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { type Database, Statement } from './database.ts'
import { quoted } from './names.ts'

/** The tables of a store, as statements name them. */
export type Tables = Readonly<Record<TableName, string>>

const tableNames = ['store', 'runs', 'units', 'machines', 'snapshots', 'leases', 'processes', 'mail'] as const

type TableName = (typeof tableNames)[number]

/** The tables of a schema. */
export function tablesOf(schema: string): Tables {
  return Object.fromEntries(tableNames.map(name => [name, `${quoted(schema)}.${name}`])) as Tables
}

/**
 * What makes each version of the tables of the one before. Never changed, only added to.
 *
 * Text holds JSON, or names as names.ts writes them. `pin` and `lease` are one name for several columns, short enough for an
 * index. A run's row is written with every append: what changes then is in no index, and the page has room for the next one.
 */
const migrations: readonly ((tables: Tables) => string)[] = [
  ({ store, runs, units, machines, snapshots, leases, processes, mail }) => `
    create table ${store} (
      single boolean primary key default true check (single),
      version integer not null,
      object_format text not null
    );
    create table ${machines} (
      oid text collate "C" primary key,
      id text not null,
      version text not null,
      definition text not null
    );
    create table ${leases} (
      lease text collate "C" primary key,
      namespace text not null,
      partition bigint not null,
      epoch bigint not null,
      owner text,
      "group" text
    );
    create table ${runs} (
      run text collate "C" primary key,
      namespace text not null,
      key text,
      pin text collate "C" unique,
      time text not null,
      fork text,
      machine text not null,
      seq bigint not null,
      revision bigint not null,
      at double precision not null,
      status text not null,
      value text,
      due double precision,
      lease text collate "C" not null,
      beside text not null,
      process text collate "C",
      wakes boolean not null,
      token text
    ) with (fillfactor = 60);
    create index runs_due on ${runs} (lease, due) where due is not null;
    create index runs_process on ${runs} (lease, process) where process is not null;
    create table ${units} (
      run text collate "C" not null,
      seq bigint not null,
      at double precision not null,
      events text not null,
      rest text not null,
      primary key (run, seq)
    );
    create table ${snapshots} (
      run text collate "C" not null,
      seq bigint not null,
      id text,
      machine text not null,
      format bigint not null,
      state text not null,
      primary key (run, seq)
    );
    create table ${processes} (
      process text collate "C" primary key,
      until double precision not null
    );
    create table ${mail} (
      position bigint generated always as identity,
      receiver text collate "C" not null,
      sender text collate "C" not null,
      seq bigint not null,
      number bigint not null,
      failure boolean not null,
      event text,
      trace text,
      primary key (receiver, sender, seq, number, failure)
    );
    create index mail_waiting on ${mail} (receiver, position) where event is not null;
  `,
]

const newest = migrations.length

/**
 * Makes the tables of a store, or brings them to this version, or says why they cannot be used.
 *
 * @param create whether they are made where there are none
 */
export async function openSchema(
  database: Database,
  schema: string,
  objectFormat: ObjectFormat,
  create: boolean,
): Promise<void> {
  let found = await versionOf(database, schema)
  if (found === undefined && !create) {
    const message = `There is no store in the schema ${quoted(schema)} of ${database.location}. Check the name.`
    throw new XMachinesError('STORE_MISSING', message, { details: { schema } })
  }
  if (found === undefined || found.version < newest) {
    await migrate(database, schema, objectFormat)
    found = (await versionOf(database, schema))!
  }
  if (found.version > newest) throw tooNew(database, schema, found.version)
  const { objectFormat: kept } = found
  if (kept !== objectFormat) {
    const message = `The store ${database.location} was made with ${kept} and opened with ${objectFormat}.`
    throw new XMachinesError('OBJECT_FORMAT_MISMATCH', `${message} Open it with \`objectFormat: '${kept}'\`.`, {
      details: { made: kept, opened: objectFormat },
    })
  }
}

interface Version {
  readonly version: number
  readonly objectFormat: string
}

/** The version of the tables, or `undefined` where there are none. */
async function versionOf(database: Database, schema: string): Promise<Version | undefined> {
  const rows = await database.ask(
    new Statement(
      `select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relname = any($2::text[]) order by 1`,
    ),
    [schema, `{${tableNames.join(',')}}`],
  )
  const names = rows.map(([name]) => name)
  if (names.length === 0) return undefined
  if (!names.includes('store')) throw foreign(database, schema, `it has ${names.join(', ')} and no table "store"`)
  const columns = await database.ask(
    new Statement(
      `select a.attname from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relname = 'store' and a.attname in ('single', 'version', 'object_format')`,
    ),
    [schema],
  )
  if (columns.length < 3) throw foreign(database, schema, 'its table "store" is another one')
  const [row] = await database.ask(new Statement(`select version, object_format from ${tablesOf(schema).store}`), [])
  if (row === undefined) throw foreign(database, schema, 'its table "store" is empty')
  return { version: Number(row[0]), objectFormat: row[1]! }
}

/** One process migrates, whoever else waits for it finds it done. */
async function migrate(database: Database, schema: string, objectFormat: ObjectFormat): Promise<void> {
  const tables = tablesOf(schema)
  await database.transact(async send => {
    await send(`select pg_advisory_xact_lock(hashtextextended('xmachines store ' || ${literal(schema)}, 0))`)
    const [present] = await send(`select to_regclass(${literal(tables.store)}) is not null`)
    const isThere = present![0] === 't'
    const [row] = isThere ? await send(`select version from ${tables.store}`) : []
    const from = Number(row?.[0] ?? 0)
    if (from === 0) {
      const [place] = await send(`select 1 from pg_catalog.pg_namespace where nspname = ${literal(schema)}`)
      // Only where it is missing: the right to make one may be missing too.
      if (place === undefined) await send(`create schema ${quoted(schema)}`)
    }
    for (const migration of migrations.slice(from)) await send(migration(tables))
    if (from === 0) {
      await send(`insert into ${tables.store} (version, object_format) values (${newest}, ${literal(objectFormat)})`)
    } else if (from < newest) await send(`update ${tables.store} set version = ${newest}`)
  })
}

/** Read alike, whether `standard_conforming_strings` is on or off. */
function literal(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

function foreign({ location }: Database, schema: string, why: string): XMachinesError {
  const message = `The schema ${quoted(schema)} of ${location} is not a store's: ${why}.`
  return new XMachinesError(
    'STORE_FOREIGN',
    `${message} Give a \`schema\` that is new or empty. Nothing was changed.`,
    {
      details: { schema },
    },
  )
}

function tooNew({ location }: Database, schema: string, version: number): XMachinesError {
  const message = `The schema ${quoted(schema)} of ${location} has version ${version}; this one reads ${newest}.`
  return new XMachinesError('STORE_FORMAT', `${message} Use a newer version of xmachines. Nothing was changed.`, {
    details: { schema, version, reads: newest },
  })
}
