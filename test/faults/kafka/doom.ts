import type { BrokerConsumer, BrokerProducer, PartitionLease, Store } from 'xmachines'
import type { Place } from './orders.ts'

/** Ends or stops this process where it is told to. */
export class Doom {
  #armed: { readonly place: Place; readonly signal: NodeJS.Signals } | undefined

  arm(place: Place, signal: NodeJS.Signals): void {
    this.#armed = { place, signal }
  }

  meet(place: Place): void {
    if (this.#armed?.place !== place) return
    const { signal } = this.#armed
    this.#armed = undefined
    process.kill(process.pid, signal)
  }

  store(store: Store): Store {
    const append = store.append.bind(store)
    store.append = (items, options) => this.#around('append', () => append(items, options))
    return store
  }

  producer(producer: BrokerProducer): BrokerProducer {
    return {
      topic: producer.topic,
      send: (records, options) => this.#around('send', () => producer.send(records, options)),
      close: () => producer.close(),
    }
  }

  consumer(consumer: BrokerConsumer): BrokerConsumer {
    const reader = consumer.leases.getReader()
    const leases = new ReadableStream<PartitionLease>(
      {
        pull: async controller => {
          const { done, value } = await reader.read()
          if (done) controller.close()
          else controller.enqueue(this.#lease(value))
        },
        cancel: reason => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    )
    return new Proxy(consumer, {
      get: (target, name) => {
        if (name === 'leases') return leases
        const member = target[name as keyof BrokerConsumer]
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
  }

  #lease(lease: PartitionLease): PartitionLease {
    const { topic, partition, generation, records, revoked, signal } = lease
    return {
      topic,
      partition,
      generation,
      records,
      revoked,
      signal,
      commit: (next, options) => this.#around('commit', () => lease.commit(next, options)),
      release: () => lease.release(),
    }
  }

  #around<Answer>(place: 'append' | 'send' | 'commit', act: () => Promise<Answer>): Promise<Answer> {
    this.meet(place)
    const acting = act()
    if (this.#armed?.place === `${place} sent`) setTimeout(() => this.meet(`${place} sent`), 1)
    return acting
  }
}
