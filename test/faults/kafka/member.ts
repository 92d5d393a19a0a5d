import type { Kafka } from 'kafkajs'
import { type Supervisor, type SupervisorEvent, supervise } from 'xmachines'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { openAt } from '../../processes/opened.ts'
import type { Doom } from './doom.ts'
import { orderMachine } from './order.ts'
import type { FleetTask, WorkerLine } from './orders.ts'

/** A member of the fleet, in a process of its own or not. */
export interface FleetMember {
  readonly supervisor: Supervisor
  close(): Promise<void>
}

export function joinFleet(task: FleetTask, kafka: Kafka, doom: Doom, say: (line: WorkerLine) => void): FleetMember {
  const { topic, group, sessionTimeout, results, deadLetters } = task
  const store = doom.store(openAt(task.store))
  const broker = kafkaBroker({ kafka })
  const supervisor = supervise({
    machine: orderMachine(() => doom.meet('step')),
    store,
    consumer: doom.consumer(broker.consumer({ topic, group, sessionTimeout })),
    results: doom.producer(broker.producer({ topic: results })),
    deadLetters: broker.producer({ topic: deadLetters }),
    strict: false,
  })
  const listening = listen(supervisor, say)
  return {
    supervisor,
    async close() {
      await supervisor.close()
      await listening
      await broker.close()
      await store.close()
    },
  }
}

async function listen(supervisor: Supervisor, say: (line: WorkerLine) => void): Promise<void> {
  for await (const event of supervisor.events) if (event.type !== 'dead-lettered') say(lineOf(event))
}

function lineOf(event: SupervisorEvent): WorkerLine {
  return {
    type: event.type,
    ...('partition' in event ? { partition: event.partition } : {}),
    ...('epoch' in event ? { epoch: event.epoch } : {}),
    ...('error' in event ? { code: event.error.code, message: event.error.message } : {}),
  }
}
