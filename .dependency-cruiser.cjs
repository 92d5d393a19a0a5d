/**
 * The border of the package: core ← drivers ← roots. `npm run check:border` holds the sources to it, and
 * test/package/border.test.ts shows that each rule bites. The compiler's half is tsconfig.core.json: no Node, no DOM.
 *
 * A rule names what is forbidden. `$1` is what the first group of its `from` matched.
 */

/** Folders that may use Node: they are named here once. */
const onNode = '^src/(transports/(node|kafka)|persistence/(filesystem|git)|cli|debugger)(/|\\.ts$)'

/** What all stores are built of. */
const sharedByStores =
  '^src/persistence/(judge|misuse|attention|waiting|deep-freeze|unit-text|stored-unit|beside-text)\\.ts$|^src/persistence/server/'

/** What all brokers are built of. */
const sharedByBrokers = '^src/transports/broker/'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      comment: 'Modules that need each other to run. Move what both need into a third, or hand it in.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-cycle-across-folders',
      comment: 'Types may go round within one folder, where they are read together; not between folders.',
      severity: 'error',
      from: { path: '^(.+)/[^/]+$' },
      to: { circular: true, via: { pathNot: '^$1/[^/]+$' } },
    },
    {
      name: 'no-missing',
      comment: 'The module cannot be found, or is not among the dependencies of package.json.',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'core-below-all',
      comment: 'actors/ knows contracts, not who keeps them: a store, a broker or a clock is handed in.',
      severity: 'error',
      from: { path: '^src/actors/' },
      to: { path: '^src/', pathNot: '^src/actors/' },
    },
    {
      name: 'contracts-are-types',
      comment: 'Contracts are types, and know only each other.',
      severity: 'error',
      from: { path: '^src/actors/contracts/' },
      to: { pathNot: '^src/actors/contracts/' },
    },
    {
      name: 'run-below-supervisor',
      comment: 'A run does not know who drives it or who looks at its history.',
      severity: 'error',
      from: { path: '^src/actors/(contracts|identity|json|machine|run)/' },
      to: { path: '^src/actors/(supervisor|replay|workflow)/' },
    },
    {
      name: 'machine-below-run',
      comment: 'Deciding is a pure function of the machine: it knows no run and no store.',
      severity: 'error',
      from: { path: '^src/actors/(identity|json|machine)/' },
      to: { path: '^src/actors/run/' },
    },
    {
      name: 'xstate-in-one-folder',
      comment:
        'actors/machine is the one adapter to XState. Elsewhere only its types; the supervisor has a machine of its own.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/actors/(machine|supervisor)/' },
      to: { path: 'node_modules/xstate/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'otel-in-one-folder',
      comment: 'The core knows contracts/telemetry.ts, not who measures.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/otel/' },
      to: { path: 'node_modules/@opentelemetry/' },
    },
    {
      name: 'drivers-know-the-core-only',
      comment: 'A store or transport imports the core and itself: never a sibling, never a root.',
      severity: 'error',
      from: { path: '^src/(transports|persistence)/([^/.]+)(?:/|\\.ts$)', pathNot: '^src/persistence/git/' },
      to: { path: '^src/', pathNot: ['^src/actors/', '^src/$1/$2(/|\\.ts$)', sharedByStores, sharedByBrokers] },
    },
    {
      name: 'git-has-a-file-journal',
      comment:
        'The Git store keeps its journal with the file store, over an `fs` of the caller with the memory store (docs/decisions/0016-git-ledger.md), and knows no other sibling.',
      severity: 'error',
      from: { path: '^src/persistence/git/' },
      to: {
        path: '^src/',
        pathNot: ['^src/actors/', '^src/persistence/((git|filesystem)/|memory\\.ts$)', sharedByStores],
      },
    },
    {
      name: 'git-over-fs-without-node',
      comment: 'A repository over an `fs` of the caller is for browsers too.',
      severity: 'error',
      from: { path: '^src/persistence/git/over-fs/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'node-in-its-places',
      comment: 'Everything else runs on any runtime with web standards.',
      severity: 'error',
      from: { path: '^src/', pathNot: onNode },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'root-is-actors',
      comment:
        'The root door has actors only; the memory store is the one exception (docs/decisions/0001-default-store.md).',
      severity: 'error',
      from: { path: '^src/index\\.ts$' },
      to: { path: '^src/', pathNot: ['^src/actors/', '^src/persistence/memory\\.ts$'] },
    },
    {
      name: 'suites-bind-no-runner',
      comment: "The published suites take the caller's own `test`.",
      severity: 'error',
      from: { path: '^src/testing(/|\\.ts$)' },
      to: { path: '^(node:)?test$|(^|/)node_modules/(vitest|jest|mocha|ava|chai)/' },
    },
    {
      name: 'nothing-published-needs-tests',
      comment: 'src is what is published.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts|examples)/' },
    },
    {
      name: 'examples-import-by-name',
      comment: 'An example imports the package by its published name, and otherwise only its own files.',
      severity: 'error',
      from: { path: '^examples/([^/]+)/' },
      to: { path: '^(src|test|bench|scripts|examples)/', pathNot: '^examples/$1/' },
    },
  ],
  options: {
    doNotFollow: { path: '(^|/)(node_modules|dist)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'default'] },
  },
}
