//! Between the catalog, where commands wait, and the gateway, where the devices are.
//!
//! A command is claimed in the catalog, durably, before the gateway hears of it, and what the gateway says of it is written down
//! there. Devices do not notice: who has commands is known from memory, so that of a hundred thousand devices that come
//! back at once only those are looked after that have some, and what the catalog takes its time for, nobody else waits for.

use anyhow::Result;
use odograph_catalog::{Catalog, Claim, ClaimedCommand, CommandQueue, CommandState, Error, Recipient, Report};
use odograph_ingest::{CommandObserver, Fate, Gateway, Order};
use odograph_model::Time;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};

/// Sends the commands that wait.
pub(crate) struct Commander {
    gateway: Arc<Gateway>,
    queue: CommandQueue,
    board: Arc<Board>,
    news: UnboundedReceiver<News>,
    /// Who has new commands.
    new: Receiver<BTreeSet<Recipient>>,
    /// Told, and not carried out yet.
    backlog: VecDeque<News>,
    /// Commands on their way, by their tickets.
    under_way: HashMap<u64, UnderWay>,
    last_ticket: u64,
}

#[derive(Debug, Clone)]
struct UnderWay {
    claim: Claim,
    recipient: Recipient,
    /// It was not answered in time, and holds nobody up any more. It may be answered still.
    is_given_up: bool,
}

/// Who has commands that wait, for the threads that serve devices.
struct Board {
    waiting: Mutex<BTreeSet<Recipient>>,
    /// How many these are: mostly none, which is known without a lock.
    count: AtomicUsize,
    /// Bounded by what may wait, each once, and by the commands under way.
    news: UnboundedSender<News>,
}

#[derive(Debug, Clone)]
enum News {
    /// It may be a device's turn.
    Turn(Recipient),
    /// Something became of a command.
    Became(u64, Fate),
}

impl Commander {
    /// Sends the commands of all tenants, as the server of this name, until the runtime ends.
    pub(crate) async fn command(gateway: Arc<Gateway>, catalog: Catalog, holder: String) {
        let (sender, news) = unbounded_channel();
        let board = Arc::new(Board { waiting: Mutex::default(), count: AtomicUsize::new(0), news: sender });
        gateway.observe_commands(board.clone());
        let queue = catalog.command_queue(&holder);
        // One at a time: whoever reads the catalog waits for us, and what is new waits in the catalog.
        let (tell_new, new) = channel(1);
        let (backlog, under_way) = (VecDeque::new(), HashMap::new());
        let mut commander = Self { gateway, queue, board, news, new, backlog, under_way, last_ticket: 0 };
        // What waits again because of it must not be looked for before.
        while let Err(error) = commander.recover().await {
            tracing::error!("commands cannot be sent, and are tried again in {} s: {error:#}", AGAIN.as_secs());
            tokio::time::sleep(AGAIN).await;
        }
        tokio::spawn(look_for_new(catalog.command_queue(&holder), tell_new));
        loop {
            // Nothing is lost by an error: what was not carried out is in the backlog still.
            if let Err(error) = commander.run().await {
                tracing::error!("commands cannot be sent, and are tried again in {} s: {error:#}", AGAIN.as_secs());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Before any is sent: what was on its way when the server ended is not sent again, unless it may be.
    async fn recover(&self) -> Result<()> {
        let found = self.queue.recover().await?;
        if found > 0 {
            tracing::warn!(commands = found, "commands were on their way when the server ended");
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<()> {
        let (mut sweep, mut sweep_all) = (tokio::time::interval(SWEEP), tokio::time::interval(SWEEP_ALL));
        let (mut retry, mut clean) = (tokio::time::interval(RETRY), tokio::time::interval(CLEAN));
        loop {
            while let Some(news) = self.backlog.front().cloned() {
                let done = match &news {
                    News::Turn(recipient) => self.turn(recipient).await,
                    News::Became(ticket, fate) => self.became(*ticket, fate).await,
                };
                match done {
                    Err(error) if error.is_of_one() => self.leave_out(&news, &error),
                    done => done?,
                }
                self.backlog.pop_front();
            }
            tokio::select! {
                Some(new) = self.new.recv() => new.into_iter().for_each(|recipient| self.has_new(recipient)),
                Some(news) = self.news.recv() => self.backlog.push_back(news),
                _ = sweep.tick(), if self.board.any() || !self.under_way.is_empty() => self.sweep().await?,
                // Also where nobody is known to wait: what cannot be read is not on the board.
                _ = sweep_all.tick() => self.sweep().await?,
                _ = retry.tick(), if self.board.any() => self.retry(),
                _ = clean.tick() => while self.queue.clean().await? > 0 {},
            }
        }
    }

    /// Ends what has waited for too long.
    async fn sweep(&mut self) -> Result<(), Error> {
        let swept = self.queue.sweep().await?;
        metrics::counter!("odograph_commands_spoilt_total").absolute(self.queue.spoilt());
        self.give_up(&swept);
        self.backlog.extend(swept.into_iter().map(News::Turn));
        Ok(())
    }

    /// What cannot be done with one device's commands is in no other's way: nothing more of it is tried until somebody wants something of
    /// the device again, it comes again, or the command's time has run out, which ends it.
    fn leave_out(&mut self, news: &News, error: &Error) {
        metrics::counter!("odograph_commands_left_out_total").increment(1);
        match news {
            News::Turn(recipient) => {
                let Recipient { tenant, device } = recipient;
                tracing::error!(%tenant, %device, "a device's commands are left out: {error}");
                self.board.remove(recipient);
            }
            News::Became(ticket, fate) => {
                tracing::error!(became = word(fate), "what became of a command cannot be kept: {error}");
                let of = if fate.is_last() { self.under_way.remove(ticket) } else { None };
                self.backlog.extend(of.map(|of| News::Turn(of.recipient)));
            }
        }
    }

    /// Somebody has a new command.
    fn has_new(&mut self, recipient: Recipient) {
        // First: whoever comes while we look is told to us again.
        self.board.add(recipient.clone());
        if self.is_here(&recipient) {
            self.backlog.push_back(News::Turn(recipient));
        }
    }

    fn is_here(&self, recipient: &Recipient) -> bool {
        self.gateway.speaks(&recipient.tenant, &recipient.device).is_some()
    }

    /// What was on its way to these is not waited for any more.
    fn give_up(&mut self, swept: &BTreeSet<Recipient>) {
        let of_them = self.under_way.values_mut().filter(|one| swept.contains(&one.recipient));
        of_them.for_each(|one| one.is_given_up = true);
    }

    /// Those that are here and wait nevertheless: something was in the way.
    fn retry(&mut self) {
        let awaited = self.under_way.values().filter(|one| !one.is_given_up);
        let awaited: BTreeSet<&Recipient> = awaited.map(|one| &one.recipient).collect();
        let waiting = self.board.lock();
        let here = waiting.iter().filter(|one| !awaited.contains(one) && self.is_here(one)).cloned();
        let here: Vec<Recipient> = here.collect();
        drop(waiting);
        self.backlog.extend(here.into_iter().map(News::Turn));
    }

    /// Sends a device's next command, if there is one, and the device is here.
    async fn turn(&mut self, recipient: &Recipient) -> Result<(), Error> {
        self.board.add(recipient.clone());
        if !self.is_here(recipient) {
            if !self.queue.waits_for(recipient).await? {
                self.board.remove(recipient);
            }
            return Ok(());
        }
        match self.queue.claim(recipient).await? {
            Some(command) => self.send(command),
            // If one is on its way to it, its end makes it the device's turn again.
            None => {
                self.board.remove(recipient);
            }
        }
        Ok(())
    }

    fn send(&mut self, command: ClaimedCommand) {
        let ClaimedCommand { claim, recipient, kind, attributes, expires } = command;
        self.last_ticket += 1;
        tracing::info!(
            tenant = recipient.tenant,
            device = recipient.device,
            number = claim.number,
            r#type = kind,
            "sending a command"
        );
        let order = Order {
            ticket: self.last_ticket,
            tenant: recipient.tenant.as_str().into(),
            device: recipient.device.as_str().into(),
            name: kind.into(),
            attributes: attributes.into_iter().collect(),
            // Those of a device differ, as far as 32 bits go; 0 stands for none.
            number: u32::try_from(claim.number % i64::from(u32::MAX)).unwrap_or_default().saturating_add(1),
            expires: Time(expires),
        };
        self.under_way.insert(self.last_ticket, UnderWay { claim, recipient, is_given_up: false });
        self.gateway.command(order);
    }

    async fn became(&mut self, ticket: u64, fate: &Fate) -> Result<(), Error> {
        let Some(UnderWay { claim, recipient, .. }) = self.under_way.get(&ticket).cloned() else { return Ok(()) };
        let report = match fate {
            Fate::Unsent(_) => Report::Unsent,
            Fate::Refused(why) => Report::Refused(why.clone()),
            Fate::Expired => Report::Expired,
            Fate::Sent => Report::Sent,
            Fate::Answered(answer) => Report::Answered(answer.text.clone(), answer.done),
            Fate::Lost(why) => Report::Lost(format!("the link was lost before the device answered ({})", why.name())),
        };
        let state = self.queue.report(&claim, &report).await?;
        metrics::counter!("odograph_commands_total", "became" => word(fate)).increment(1);
        tracing::info!(
            tenant = recipient.tenant,
            device = recipient.device,
            number = claim.number,
            became = word(fate),
            state = state.map(CommandState::name),
            "a command"
        );
        if !fate.is_last() {
            return Ok(());
        }
        self.under_way.remove(&ticket);
        if matches!(fate, Fate::Unsent(_)) {
            // Not at once, or it would go round in circles: when it comes again, or in a while.
            self.board.add(recipient);
        } else {
            self.backlog.push_back(News::Turn(recipient));
        }
        Ok(())
    }
}

/// Tells who has new commands. By itself, so that it has its turn however much else there is to do.
async fn look_for_new(mut queue: CommandQueue, tell: Sender<BTreeSet<Recipient>>) {
    loop {
        match queue.next().await {
            Ok(new) => {
                if tell.send(new).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(
                    "new commands cannot be seen, and are looked for again in {} s: {error:#}",
                    AGAIN.as_secs()
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Board {
    fn add(&self, recipient: Recipient) {
        let mut waiting = self.lock();
        waiting.insert(recipient);
        self.count.store(waiting.len(), Ordering::Release);
        metrics::gauge!("odograph_command_recipients").set(waiting.len() as f64);
    }

    /// Says whether it was there.
    fn remove(&self, recipient: &Recipient) -> bool {
        let mut waiting = self.lock();
        let was_there = waiting.remove(recipient);
        self.count.store(waiting.len(), Ordering::Release);
        metrics::gauge!("odograph_command_recipients").set(waiting.len() as f64);
        was_there
    }

    fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Recipient>> {
        // Every change to the set is whole, so a panic elsewhere does not spoil it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: News) {
        // An error means that the server ends, and with it whoever would hear.
        let _ = self.news.send(news);
    }
}

impl CommandObserver for Board {
    fn arrived(&self, tenant: &str, device: &str) {
        if !self.any() {
            return;
        }
        let recipient = Recipient { tenant: tenant.to_owned(), device: device.to_owned() };
        // Once, however often it comes until its turn is looked at: that puts it on the board again, if anything is left.
        if self.remove(&recipient) {
            self.tell(News::Turn(recipient));
        }
    }

    fn became(&self, ticket: u64, fate: Fate) {
        self.tell(News::Became(ticket, fate));
    }
}

const fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Unsent(_) => "unsent",
        Fate::Refused(_) => "refused",
        Fate::Expired => "expired",
        Fate::Sent => "sent",
        Fate::Answered(_) => "answered",
        Fate::Lost(_) => "lost",
    }
}

/// Says what the numbers mean that are counted here.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_counter!("odograph_commands_total", "What became of commands on their way to devices.");
    describe_counter!(
        "odograph_commands_left_out_total",
        "Times that a device's commands were passed over because of what is kept of one of them, as the log says."
    );
    describe_counter!(
        "odograph_commands_spoilt_total",
        "Commands that were ended because nothing could be done with them."
    );
    describe_gauge!("odograph_command_recipients", "Devices that have commands which wait.");
}

/// How often it is looked whose time has run out, while any command waits: people see it a second later.
const SWEEP: Duration = Duration::from_secs(1);

/// The same where nobody is known to wait, or it would be asked all day for nothing.
const SWEEP_ALL: Duration = Duration::from_secs(30);

/// How often commands are tried again of devices that are here and did not get them.
const RETRY: Duration = Duration::from_secs(10);

/// How often commands are deleted that came to their end long ago.
const CLEAN: Duration = Duration::from_secs(60 * 60);

/// Until a catalog is asked again that could not be.
const AGAIN: Duration = Duration::from_secs(5);
