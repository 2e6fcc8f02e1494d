// kafkajs: the old, non-flexible encodings. Its consumer needs a group, so what it wrote is read with @platformatic/kafka.
import assert from 'node:assert/strict'
import { bootstrap, check, main, need, newTopic, refused, until } from '../node/cases.mjs'
import { readAll } from '../node/read.mjs'

const { Kafka, CompressionTypes, logLevel } = need('kafkajs')
const port = Number(bootstrap.split(':')[1])
const kafka = new Kafka({ clientId: 'compat', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 5 } })

async function withAdmin (body) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await body(admin)
  } finally {
    await admin.disconnect()
  }
}

async function withProducer (options, body) {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...options })
  await producer.connect()
  try {
    return await body(producer)
  } finally {
    await producer.disconnect()
  }
}

async function makeTopic (stem, numPartitions = 1, configEntries = []) {
  const topic = newTopic(stem)
  await withAdmin(admin => admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }], waitForLeaders: true }))
  return topic
}

const messages = count => Array.from({ length: count }, (_, n) => ({ key: `key ${n}`, value: `value ${n}`, partition: 0, headers: { n: `${n}` } }))

async function written (options, send = {}) {
  const topic = await makeTopic('js-write')
  await withProducer(options, async producer => {
    for (let part = 0; part < 5; part++) {
      const [answer] = await producer.send({ topic, messages: messages(100), ...send })
      assert.equal(answer.errorCode, 0)
      if (send.acks !== 0) assert.equal(answer.baseOffset, String(part * 100))
    }
  })
  const found = await readAll(topic, 500)
  assert.deepEqual(found.map(record => record.key), Array.from({ length: 500 }, (_, n) => `key ${n % 100}`))
  assert.deepEqual(found.map(record => record.offset), Array.from({ length: 500 }, (_, n) => n))
  assert.equal(found[123].value, 'value 23')
  assert.deepEqual(found[123].headers, { n: '23' })
}

check('produce', () => written({}))
check('produce-gzip', () => written({}, { compression: CompressionTypes.GZIP }))
check('produce-acks-1', () => written({}, { acks: 1 }))
check('produce-idempotent', () => written({ idempotent: true, maxInFlightRequests: 1 }))

check('produce-auto-create', async () => {
  const topic = newTopic('js-auto')
  await withProducer({ allowAutoTopicCreation: true }, producer => producer.send({ topic, messages: messages(3) }))
  assert.equal((await readAll(topic, 3)).length, 3)
})

check('admin-topics', () => withAdmin(async admin => {
  const topic = newTopic('js-admin')
  const wanted = { topic, numPartitions: 3, replicationFactor: 1, configEntries: [{ name: 'retention.ms', value: '97000' }] }
  assert.equal(await admin.createTopics({ topics: [wanted], waitForLeaders: true }), true)
  assert.equal(await admin.createTopics({ topics: [wanted] }), false, 'created twice')
  assert.ok((await admin.listTopics()).includes(topic))
  const { topics: [told] } = await admin.fetchTopicMetadata({ topics: [topic] })
  assert.deepEqual(told.partitions.map(part => part.partitionId).sort(), [0, 1, 2])
  assert.deepEqual(told.partitions[0].replicas, [1])
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  await until(async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 5, 'five partitions')
  await admin.deleteTopics({ topics: [topic] })
  await until(async () => !(await admin.listTopics()).includes(topic), 'the topic to go')
}))

check('admin-refusals', () => withAdmin(async admin => {
  const create = words => admin.createTopics({ topics: [{ numPartitions: 1, replicationFactor: 1, topic: newTopic('js-refused'), ...words }] })
  await refused(create({ topic: 'a/b' }), /INVALID_TOPIC_EXCEPTION/)
  await refused(create({ numPartitions: 0 }), /INVALID_PARTITIONS/)
  await refused(create({ replicationFactor: 7 }), /INVALID_REPLICATION_FACTOR/)
  await refused(create({ configEntries: [{ name: 'no.such', value: '1' }] }), /INVALID_CONFIG/)
}))

check('admin-configs', async () => {
  const topic = await makeTopic('js-configs', 1, [{ name: 'retention.ms', value: '96000' }])
  await withAdmin(async admin => {
    const { resources: [told] } = await admin.describeConfigs({ resources: [{ type: 2, name: topic }] })
    const value = name => told.configEntries.find(entry => entry.configName === name)?.configValue
    assert.equal(value('retention.ms'), '96000')
    assert.equal(value('cleanup.policy'), 'delete')
  })
})

check('admin-cluster', () => withAdmin(async admin => {
  const told = await admin.describeCluster()
  assert.deepEqual(told.brokers, [{ nodeId: 1, host: '127.0.0.1', port }])
  assert.equal(told.controller, 1)
  assert.equal(told.clusterId.length, 22)
}))

check('admin-offsets', async () => {
  const topic = await makeTopic('js-offsets', 2)
  await withProducer({}, producer => producer.send({ topic, messages: messages(7) }))
  await withAdmin(async admin => {
    const told = (await admin.fetchTopicOffsets(topic)).sort((a, b) => a.partition - b.partition)
    assert.deepEqual(told.map(({ offset, low, high }) => [offset, low, high]), [['7', '0', '7'], ['0', '0', '0']])
    const [after] = await admin.fetchTopicOffsetsByTimestamp(topic, Date.now() + 60_000)
    assert.equal(after.offset, after.partition === 0 ? '7' : '0')
  })
})

check('admin-alter-configs', { needs: 'alter-configs' }, async () => {
  const topic = await makeTopic('js-alter')
  await withAdmin(admin => admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '95000' }] }] }))
})

check('admin-delete-records', { needs: 'delete-records' }, async () => {
  const topic = await makeTopic('js-records')
  await withProducer({}, producer => producer.send({ topic, messages: messages(10) }))
  await withAdmin(async admin => {
    assert.equal((await admin.fetchTopicOffsets(topic))[0].low, '0')
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
    assert.equal((await admin.fetchTopicOffsets(topic))[0].low, '4')
  })
})

check('consumer-group', { needs: 'groups' }, async () => {
  const topic = await makeTopic('js-group', 2)
  await withProducer({}, producer => producer.send({ topic, messages: messages(50) }))
  const consumer = kafka.consumer({ groupId: newTopic('group') })
  await consumer.connect()
  const seen = []
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => { seen.push(message.value.toString()) } })
    await until(() => seen.length >= 50, 'all records', 60)
    assert.deepEqual(seen, messages(50).map(message => message.value))
  } finally {
    await consumer.disconnect()
  }
})

check('transaction', { needs: 'transactions' }, async () => {
  const topic = await makeTopic('js-txn')
  await withProducer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 }, async producer => {
    for (const commit of [true, false, true]) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: messages(2) })
      await (commit ? transaction.commit() : transaction.abort())
    }
  })
})

await main()
