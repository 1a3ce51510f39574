//! `blockIO`: weights and throttles of block devices.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Limits, Refusal, only_v1};
use crate::error::{Error, Result};
use crate::spec;

impl Limits {
    pub(super) fn block_io(&mut self, block_io: &spec::BlockIo) -> Result<()> {
        if let Some(weight) = weight("blockIO.weight", block_io.weight)? {
            self.weight("blockIO.weight", "", weight);
        }
        if block_io.leaf_weight.is_some_and(|weight| weight != 0) {
            return Err(only_v1("blockIO.leafWeight"));
        }
        for (index, device) in block_io.weight_device.iter().enumerate() {
            let field = format!("blockIO.weightDevice[{index}]");
            if device.leaf_weight.is_some_and(|weight| weight != 0) {
                return Err(only_v1(&format!("{field}.leafWeight")));
            }
            let number = number(&field, device.major, device.minor)?;
            if let Some(weight) = weight(&format!("{field}.weight"), device.weight)? {
                self.weight(&field, &format!("{number} "), weight);
            }
        }
        self.throttle(block_io)
    }

    /// The BFQ scheduler takes the old weights; others take them stretched from 10–1000 to 1–10000.
    fn weight(&mut self, field: &str, device: &str, weight: u32) {
        let stretched = 1 + (weight - 10) * 9999 / 990;
        let instead = Refusal::Instead("io.weight", format!("{device}{stretched}"));
        self.push(field, "io.bfq.weight", format!("{device}{weight}"), instead);
    }

    /// All limits of one device in one write.
    fn throttle(&mut self, block_io: &spec::BlockIo) -> Result<()> {
        let mut lines: Vec<(String, String, String)> = Vec::new();
        for (name, key, devices) in [
            ("throttleReadBpsDevice", "rbps", &block_io.throttle_read_bps_device),
            ("throttleWriteBpsDevice", "wbps", &block_io.throttle_write_bps_device),
            ("throttleReadIOPSDevice", "riops", &block_io.throttle_read_iops_device),
            ("throttleWriteIOPSDevice", "wiops", &block_io.throttle_write_iops_device),
        ] {
            for (index, device) in devices.iter().enumerate() {
                let field = format!("blockIO.{name}[{index}]");
                let number = number(&field, device.major, device.minor)?;
                // With cgroup v1 zero took a limit away; here it is refused.
                let value = match device.rate {
                    0 => format!(" {key}=max"),
                    rate => format!(" {key}={rate}"),
                };
                match lines.iter_mut().find(|(_, other, _)| *other == number) {
                    Some((_, _, values)) => values.push_str(&value),
                    None => lines.push((field, number, value)),
                }
            }
        }
        for (field, number, values) in lines {
            self.write(&field, "io.max", format!("{number}{values}"));
        }
        Ok(())
    }
}

fn weight(field: &str, weight: Option<u16>) -> Result<Option<u32>> {
    match weight {
        None | Some(0) => Ok(None),
        Some(weight @ 10..=1000) => Ok(Some(weight.into())),
        Some(other) => Err(Error::new(format_args!("{field}: {other} is not from 10 to 1000"))),
    }
}

fn number(field: &str, major: i64, minor: i64) -> Result<String> {
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) => Ok(format!("{major}:{minor}")),
        _ => Err(Error::new(format_args!(
            "{field}: {} is not the number of a device",
            major.to_string() + ":" + &minor.to_string()
        ))),
    }
}
