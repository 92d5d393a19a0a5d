/** Where a node is. */
export interface Place {
  readonly id: number
  readonly dir: string
  /** By listener. */
  readonly ports: Readonly<Record<string, number>>
}

/** What a node is configured with, unless a test wants otherwise: quick to start, quick to notice, small. */
function defaults(nodes: number): Record<string, string> {
  const copies = `${nodes}`
  const enough = `${Math.ceil(nodes / 2)}`
  return {
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    // A member that is silent is given up as soon as it says.
    'group.min.session.timeout.ms': '1000',
    'min.insync.replicas': enough,
    'num.partitions': '1',
    'offsets.topic.num.partitions': '3',
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.num.partitions': '3',
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': enough,
    'share.coordinator.state.topic.num.partitions': '3',
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': enough,
    // What Kafka's own tests use; else 128 MB of heap are set aside.
    'log.cleaner.dedupe.buffer.size': '2097152',
    'log.segment.bytes': '16777216',
    // Who was killed is noticed sooner, and may come back sooner: before that its id is taken.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
  }
}

/** The file that a node is formatted and started with. */
export function serverProperties(
  place: Place,
  places: readonly Place[],
  own: Readonly<Record<string, string>>,
): string {
  const listeners = Object.entries(place.ports).map(([name, port]) => `${name}://127.0.0.1:${port}`)
  const protocols = Object.keys(place.ports).map(name => `${name}:${name === 'CONTROLLER' ? 'PLAINTEXT' : name}`)
  const all = {
    'process.roles': 'broker,controller',
    'node.id': `${place.id}`,
    'controller.quorum.voters': places.map(({ id, ports }) => `${id}@127.0.0.1:${ports.CONTROLLER}`).join(','),
    listeners: listeners.join(','),
    'advertised.listeners': listeners.filter(listener => !listener.startsWith('CONTROLLER')).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': protocols.join(','),
    'log.dirs': place.dir,
    ...defaults(places.length),
    ...own,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('')
}
