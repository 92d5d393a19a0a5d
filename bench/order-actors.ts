import { type Actor, createActor } from 'xstate'
import { type OrderEvent, order } from './machines.ts'

/** What people write to have an actor for each key: nothing of it is kept. */
export class OrderActors {
  readonly #actors = new Map<string, Actor<typeof order>>()

  send(key: string, event: OrderEvent): void {
    let actor = this.#actors.get(key)
    if (actor === undefined) {
      actor = createActor(order)
      actor.subscribe(() => {})
      actor.start()
      this.#actors.set(key, actor)
    }
    actor.send(event)
  }
}
