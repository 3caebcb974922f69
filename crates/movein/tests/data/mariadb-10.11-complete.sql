/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: traccar_bit
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table `tc_calendars`
--

DROP TABLE IF EXISTS `tc_calendars`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_calendars` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(128) NOT NULL,
  `data` mediumblob NOT NULL,
  `attributes` varchar(4000) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_calendars`
--

LOCK TABLES `tc_calendars` WRITE;
/*!40000 ALTER TABLE `tc_calendars` DISABLE KEYS */;
INSERT INTO `tc_calendars` (`id`, `name`, `data`, `attributes`) VALUES (1,'nights; and \'days',0x00270A3B275CFF00,'{}');
/*!40000 ALTER TABLE `tc_calendars` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `tc_device_driver`
--

DROP TABLE IF EXISTS `tc_device_driver`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_device_driver` (
  `deviceid` int(11) NOT NULL,
  `driverid` int(11) NOT NULL,
  KEY `deviceid` (`deviceid`),
  CONSTRAINT `tc_device_driver_ibfk_1` FOREIGN KEY (`deviceid`) REFERENCES `tc_devices` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_device_driver`
--

LOCK TABLES `tc_device_driver` WRITE;
/*!40000 ALTER TABLE `tc_device_driver` DISABLE KEYS */;
INSERT INTO `tc_device_driver` (`deviceid`, `driverid`) VALUES (1,1);
/*!40000 ALTER TABLE `tc_device_driver` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `tc_devices`
--

DROP TABLE IF EXISTS `tc_devices`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_devices` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(128) NOT NULL,
  `uniqueid` varchar(128) NOT NULL,
  `lastupdate` timestamp NULL DEFAULT NULL,
  `positionid` bigint(20) DEFAULT NULL,
  `groupid` int(11) DEFAULT NULL,
  `attributes` varchar(4000) DEFAULT NULL,
  `phone` varchar(128) DEFAULT NULL,
  `model` varchar(128) DEFAULT NULL,
  `contact` varchar(512) DEFAULT NULL,
  `category` varchar(128) DEFAULT NULL,
  `disabled` bit(1) DEFAULT b'0',
  `status` char(8) DEFAULT NULL,
  `expirationtime` timestamp NULL DEFAULT NULL,
  `motionstate` bit(1) DEFAULT b'0',
  `calendarid` int(11) DEFAULT NULL,
  `motiondistance` double DEFAULT 0,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uniqueid` (`uniqueid`),
  KEY `fk_devices_groupid` (`groupid`),
  CONSTRAINT `fk_devices_groupid` FOREIGN KEY (`groupid`) REFERENCES `tc_groups` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB AUTO_INCREMENT=8 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_devices`
--

LOCK TABLES `tc_devices` WRITE;
/*!40000 ALTER TABLE `tc_devices` DISABLE KEYS */;
INSERT INTO `tc_devices` (`id`, `name`, `uniqueid`, `lastupdate`, `positionid`, `groupid`, `attributes`, `phone`, `model`, `contact`, `category`, `disabled`, `status`, `expirationtime`, `motionstate`, `calendarid`, `motiondistance`) VALUES (1,'Truck 7','352093081452251','2026-10-01 08:00:00',102,2,'{\"vin\":\"W0L000051T2123456\",\"speedLimit\":48.6,\"decoder.timezone\":\"Europe/Vilnius\"}','+37060000001','FMB920','Jonas <jonas@example.org>','truck',0x00,'online','2027-03-31 12:30:00',0x01,NULL,0);
INSERT INTO `tc_devices` (`id`, `name`, `uniqueid`, `lastupdate`, `positionid`, `groupid`, `attributes`, `phone`, `model`, `contact`, `category`, `disabled`, `status`, `expirationtime`, `motionstate`, `calendarid`, `motiondistance`) VALUES (2,'Müller\'s \"Kühler\" \\ No. 2','861234567890120',NULL,103,3,'{\"note\":\"he said \\\"don\'t\\\" \\\\o/\",\"nested\":{\"a\":[1,2,null]},\"licensePlate\":\"M-KÜ 2\"}','','GT06N',NULL,NULL,0x00,'offline',NULL,0x00,NULL,0);
INSERT INTO `tc_devices` (`id`, `name`, `uniqueid`, `lastupdate`, `positionid`, `groupid`, `attributes`, `phone`, `model`, `contact`, `category`, `disabled`, `status`, `expirationtime`, `motionstate`, `calendarid`, `motiondistance`) VALUES (4,'two\nlines	and a tab','0123456789',NULL,NULL,NULL,NULL,NULL,NULL,'line one\n-- not a comment; DROP TABLE x;\n\\. INSERT INTO tc_devices VALUES (9, \'x\');',NULL,0x01,NULL,NULL,0x00,NULL,0);
INSERT INTO `tc_devices` (`id`, `name`, `uniqueid`, `lastupdate`, `positionid`, `groupid`, `attributes`, `phone`, `model`, `contact`, `category`, `disabled`, `status`, `expirationtime`, `motionstate`, `calendarid`, `motiondistance`) VALUES (7,'🚛 Žalias — 冷','AB-12/x',NULL,NULL,1,'{\"emoji\":\"❄️\",\"quote\":\"\'\"}',NULL,NULL,NULL,'van',NULL,NULL,NULL,0x00,NULL,0);
/*!40000 ALTER TABLE `tc_devices` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `tc_drivers`
--

DROP TABLE IF EXISTS `tc_drivers`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_drivers` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(128) NOT NULL,
  `uniqueid` varchar(128) NOT NULL,
  `attributes` varchar(4000) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uniqueid` (`uniqueid`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_drivers`
--

LOCK TABLES `tc_drivers` WRITE;
/*!40000 ALTER TABLE `tc_drivers` DISABLE KEYS */;
INSERT INTO `tc_drivers` (`id`, `name`, `uniqueid`, `attributes`) VALUES (1,'Ona O\'Šea','0A1B2C3D','{\"shift\":\"night\"}');
INSERT INTO `tc_drivers` (`id`, `name`, `uniqueid`, `attributes`) VALUES (2,'Pat','7','{}');
/*!40000 ALTER TABLE `tc_drivers` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `tc_group_driver`
--

DROP TABLE IF EXISTS `tc_group_driver`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_group_driver` (
  `groupid` int(11) NOT NULL,
  `driverid` int(11) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_group_driver`
--

LOCK TABLES `tc_group_driver` WRITE;
/*!40000 ALTER TABLE `tc_group_driver` DISABLE KEYS */;
INSERT INTO `tc_group_driver` (`groupid`, `driverid`) VALUES (3,2);
/*!40000 ALTER TABLE `tc_group_driver` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `tc_groups`
--

DROP TABLE IF EXISTS `tc_groups`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_groups` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(128) NOT NULL,
  `groupid` int(11) DEFAULT NULL,
  `attributes` varchar(4000) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_groups`
--

LOCK TABLES `tc_groups` WRITE;
/*!40000 ALTER TABLE `tc_groups` DISABLE KEYS */;
INSERT INTO `tc_groups` (`id`, `name`, `groupid`, `attributes`) VALUES (1,'Nord',NULL,'{\"speedLimit\":48.6}');
INSERT INTO `tc_groups` (`id`, `name`, `groupid`, `attributes`) VALUES (2,'Kühlzüge',1,'{}');
INSERT INTO `tc_groups` (`id`, `name`, `groupid`, `attributes`) VALUES (3,'O\'Brien \"Süd\"',0,NULL);
/*!40000 ALTER TABLE `tc_groups` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `tc_positions`
--

DROP TABLE IF EXISTS `tc_positions`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_positions` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `protocol` varchar(128) DEFAULT NULL,
  `deviceid` int(11) NOT NULL,
  `fixtime` timestamp NULL DEFAULT NULL,
  `valid` bit(1) DEFAULT b'0',
  `latitude` double NOT NULL,
  `longitude` double NOT NULL,
  `attributes` varchar(4000) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=104 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_positions`
--

LOCK TABLES `tc_positions` WRITE;
/*!40000 ALTER TABLE `tc_positions` DISABLE KEYS */;
INSERT INTO `tc_positions` (`id`, `protocol`, `deviceid`, `fixtime`, `valid`, `latitude`, `longitude`, `attributes`) VALUES (101,'gt06',1,'2026-09-30 08:00:00',0x01,54.7146,25.3032,'{\"sat\":9}');
INSERT INTO `tc_positions` (`id`, `protocol`, `deviceid`, `fixtime`, `valid`, `latitude`, `longitude`, `attributes`) VALUES (102,'teltonika',1,'2026-10-01 08:00:00',0x01,54.7147,25.3033,'{\"sat\":9,\"hex\":\"00\'\"}');
INSERT INTO `tc_positions` (`id`, `protocol`, `deviceid`, `fixtime`, `valid`, `latitude`, `longitude`, `attributes`) VALUES (103,'meitrack',2,'2026-10-01 08:00:00',0x01,-1.5,0.25,'{}');
/*!40000 ALTER TABLE `tc_positions` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `tc_users`
--

DROP TABLE IF EXISTS `tc_users`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `tc_users` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(128) NOT NULL,
  `email` varchar(128) NOT NULL,
  `hashedpassword` varchar(128) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `tc_users`
--

LOCK TABLES `tc_users` WRITE;
/*!40000 ALTER TABLE `tc_users` DISABLE KEYS */;
INSERT INTO `tc_users` (`id`, `name`, `email`, `hashedpassword`) VALUES (1,'admin','admin@example.org','D33D');
/*!40000 ALTER TABLE `tc_users` ENABLE KEYS */;
UNLOCK TABLES;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-28 20:14:24
