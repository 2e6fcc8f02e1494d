#!/bin/sh
# What librdkafka's tests start a Java class of theirs with.
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$CLASSPATH:$COMPAT_JARS/*" "$@"
