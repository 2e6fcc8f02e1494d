// Sends `key TAB value` lines with kafkajs, idempotent, gzip. Says `acked N` on the way and `done N` at the end.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { need } from '../../node/cases.mjs'

const { Kafka, CompressionTypes, logLevel } = need('kafkajs')
const [bootstrap, topic, path] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR, retry: { retries: 1000, initialRetryTime: 50, maxRetryTime: 500 } })
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
await producer.connect()
let acked = 0
let messages = []

async function send () {
  await producer.send({ topic, messages, acks: -1, compression: CompressionTypes.GZIP })
  acked += messages.length
  messages = []
  console.log('acked', acked)
}

for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) {
  const at = line.indexOf('\t')
  messages.push({ key: line.slice(0, at), value: line.slice(at + 1) })
  if (messages.length === 500) await send()
}
if (messages.length) await send()
console.log('done', acked)
await producer.disconnect()
