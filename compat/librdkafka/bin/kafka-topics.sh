#!/bin/sh
# Some of librdkafka's tests call Kafka's own tool from $KAFKA_PATH/bin.
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx128m -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
  -cp "$COMPAT_JARS/*" org.apache.kafka.tools.TopicCommand "$@"
