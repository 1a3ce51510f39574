//! How far a transfer is: on a terminal a line a layer, drawn anew as bytes come; elsewhere a line when a layer is there.
//! All of it on standard error.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::termios::{isatty, tcgetwinsize};
use servin_init::sys::clock::{Nanoseconds, SECOND, now};

use super::format::units;
use crate::fs::copy::write_all;
use crate::fs::descriptors::stderr;
use crate::gather::Gather as _;
use crate::image::digest;
use crate::image::documents::Descriptor;
use crate::image::pull::Progress;

/// How often the lines are drawn.
const REDRAW: Nanoseconds = SECOND / 10;
const BAR: usize = 24;
/// Where the terminal does not say how large it is.
const USUAL: (u16, u16) = (24, 80);

/// One layer.
struct Layer {
    name: String,
    size: u64,
    here: u64,
    begun: Nanoseconds,
    ended: Option<Nanoseconds>,
    /// It was there before.
    known: bool,
}

/// The lines of one transfer.
pub struct Lines {
    /// `pulled`, or `pushed`.
    what: &'static str,
    quiet: bool,
    terminal: bool,
    layers: Vec<Layer>,
    /// Lines on the terminal that are drawn over.
    drawn: usize,
    last: Nanoseconds,
}

impl Lines {
    /// Nothing is drawn yet; `quiet` says that nothing ever is.
    pub fn new(what: &'static str, quiet: bool) -> Lines {
        let terminal = isatty(stderr());
        Lines { what, quiet, terminal, layers: Vec::new(), drawn: 0, last: 0 }
    }

    fn say(&self, text: &str) {
        // If nobody reads there is nothing to do.
        let _ = write_all(stderr(), text.as_bytes());
    }

    /// Draws all lines anew, over the last ones.
    fn draw(&mut self) {
        let size = tcgetwinsize(stderr()).map(|size| (size.ws_row, size.ws_col)).unwrap_or(USUAL);
        let (rows, columns) = if size.0 == 0 || size.1 == 0 { USUAL } else { size };
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        // What is done scrolls away where there are more lines than the terminal has.
        let most = usize::from(rows).saturating_sub(1).max(1);
        let shown: Vec<&Layer> = match self.layers.len() > most {
            true => self.layers.iter().filter(|layer| layer.ended.is_none()).take(most).gather(),
            false => self.layers.iter().gather(),
        };
        for layer in &shown {
            let line: String =
                layer.line(self.what, self.last).chars().take(usize::from(columns) - 1).collect();
            text.push_str(&line);
            text.push_str("\x1b[K\n");
        }
        if shown.len() < self.drawn {
            text.push_str("\x1b[J");
        }
        self.drawn = shown.len();
        self.say(&text);
    }
}

impl Layer {
    /// `3f4e…  [=====>    ]  12.3MB of 30MB  4.1MB/s`.
    fn line(&self, what: &str, now: Nanoseconds) -> String {
        let name = &self.name;
        if self.known {
            return format!("{name}  there already");
        }
        let speed = self.speed(now);
        match self.ended {
            Some(_) => format!("{name}  {what} {}{speed}", units::size(self.size)),
            None if self.here == 0 => format!("{name}  waiting"),
            None => {
                let whole = self.size.max(1);
                let filled = (u128::from(self.here.min(whole)) * BAR as u128 / u128::from(whole)) as usize;
                let bar: String = (0..BAR).map(|at| if at < filled { '=' } else { ' ' }).collect();
                let (here, size) = (units::size(self.here), units::size(self.size));
                format!("{name}  [{bar}] {here} of {size}{speed}")
            }
        }
    }

    fn speed(&self, now: Nanoseconds) -> String {
        let taken = self.ended.unwrap_or(now).saturating_sub(self.begun);
        // Of less than a tenth of a second nothing can be said.
        if self.begun == 0 || taken < REDRAW {
            return String::new();
        }
        let each_second = u128::from(self.here) * u128::from(SECOND) / u128::from(taken);
        format!("  {}/s", units::size(each_second as u64))
    }
}

impl Progress for Lines {
    fn begin(&mut self, layers: &[Descriptor], present: &[bool]) {
        let layer = |(layer, known): (&Descriptor, &bool)| Layer {
            name: digest::digits(&layer.digest).chars().take(12).collect(),
            size: layer.size,
            here: 0,
            begun: 0,
            ended: known.then_some(0),
            known: *known,
        };
        self.layers = layers.iter().zip(present).map(layer).gather();
        self.drawn = 0;
        if self.terminal && !self.quiet {
            self.draw();
        }
    }

    fn advance(&mut self, layer: usize, bytes: u64) {
        let time = now();
        if let Some(layer) = self.layers.get_mut(layer) {
            if layer.begun == 0 {
                layer.begun = time;
            }
            layer.here = bytes;
        }
        if self.terminal && !self.quiet && time - self.last >= REDRAW {
            self.last = time;
            self.draw();
        }
    }

    fn done(&mut self, layer: usize) {
        self.last = now();
        let Some(at) = self.layers.get_mut(layer).filter(|layer| layer.ended.is_none()) else { return };
        at.ended = Some(self.last);
        at.here = at.size;
        if self.quiet {
            return;
        }
        if self.terminal {
            self.draw();
        } else {
            let line = self.layers[layer].line(self.what, self.last);
            self.say(&format!("{line}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_is_there_and_how_fast_it_comes() {
        let mut layer = Layer {
            name: "0123456789ab".into(),
            size: 4_000_000,
            here: 0,
            begun: 0,
            ended: None,
            known: false,
        };
        assert_eq!(layer.line("pulled", SECOND), "0123456789ab  waiting");
        layer.begun = SECOND;
        layer.here = 1_000_000;
        assert_eq!(
            layer.line("pulled", 3 * SECOND),
            "0123456789ab  [======                  ] 1MB of 4MB  500kB/s"
        );
        (layer.here, layer.ended) = (4_000_000, Some(2 * SECOND));
        assert_eq!(layer.line("pulled", 9 * SECOND), "0123456789ab  pulled 4MB  4MB/s");
        layer.known = true;
        assert_eq!(layer.line("pulled", 9 * SECOND), "0123456789ab  there already");
        (layer.known, layer.size, layer.here, layer.ended) = (false, 0, 5, None);
        assert!(layer.line("pulled", 9 * SECOND).contains("[========================]"));
    }
}
