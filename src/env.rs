//! What belongs to one JS environment (a page, a worker, a Node process), and how it goes when the environment goes.
//!
//! A page reload makes a new environment in the same process while the threads of this crate live on, so nothing that
//! knows JS may be a process-wide static. One [`Hub`] per environment holds the only threadsafe function, the views,
//! the events and the engine; threads hold it weakly or through views, and it turns deaf before the environment dies.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use engine::Engine;
use napi::{Env, Error, Result, Status, sys};
use parking_lot::Mutex;

use crate::events::EventQueue;
use crate::view::View;

/// Numbers by which JS knows views.
pub type ViewId = u32;

/// What the wake-up says to JS instead of a view's number, with one of the two below.
const NO_VIEW: ViewId = 0;
/// Events wait.
const EVENTS: i32 = 0;
/// Call `resume` soon, but let the page's own work go first.
const LATER: i32 = -1;
/// What it says instead of a view's slot: make a ring of this size.
const NEW_RING: i32 = -1;
/// JS is kept no longer than this without a turn for others.
const TURN_LIMIT: Duration = Duration::from_millis(8);

/// The node's handle for waking JS from any thread.
struct WakeUp(sys::napi_threadsafe_function);

// SAFETY: a threadsafe function may be called from every thread while it lives; `Hub` sees to the latter.
unsafe impl Send for WakeUp {}

/// See the module's text.
pub struct Hub {
    /// `None` once the environment is going.
    wake_up: Mutex<Option<WakeUp>>,
    /// Whether a wake-up is under way, so that any number of nudges cost one.
    pending: AtomicBool,
    /// Events that JS has not fetched.
    pub events: EventQueue,
    /// The views that JS has made.
    pub views: Mutex<BTreeMap<ViewId, Arc<View>>>,
    /// The engine while there is one.
    pub engine: Mutex<Option<Arc<Engine>>>,
}

impl Hub {
    /// Binds a hub to the environment. `wake` is called on the JS thread as `wake(view, slot, width, height)`; see
    /// [`crate::engine::NativeEngine::new`].
    pub fn bind(env: &Env, wake: sys::napi_value) -> Result<Arc<Self>> {
        let hub = Arc::new(Self {
            wake_up: Mutex::new(None),
            pending: AtomicBool::new(false),
            events: EventQueue::default(),
            views: Mutex::default(),
            engine: Mutex::default(),
        });
        let wake_up = create_wake_up(env.raw(), wake, &hub)?;
        *hub.wake_up.lock() = Some(wake_up);
        add_cleanup_hook(env.raw(), &hub)?;
        Ok(hub)
    }

    /// Wakes JS up soon, if it is not on its way already. Any thread.
    pub fn nudge(&self) {
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut wake_up = self.wake_up.lock();
        let Some(WakeUp(function)) = *wake_up else { return };
        let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
        // SAFETY: the function lives: the cleanup hook takes it out under this lock before Node deletes it.
        let status = unsafe { sys::napi_call_threadsafe_function(function, ptr::null_mut(), mode) };
        if status != sys::Status::napi_ok {
            *wake_up = None;
        }
    }

    /// The view of that number.
    pub fn view(&self, id: ViewId) -> Option<Arc<View>> {
        self.views.lock().get(&id).cloned()
    }

    /// The environment is going: no thread wakes it or writes into its memory after this, and the engine ends.
    fn close(&self) {
        *self.wake_up.lock() = None;
        let views = std::mem::take(&mut *self.views.lock());
        for view in views.values() {
            view.close();
        }
        let engine = self.engine.lock().take();
        if let Some(engine) = engine {
            engine.destroy();
        }
    }

    /// JS has had its turn: go on with what was put off.
    pub fn resume(&self) {
        self.pending.store(false, Ordering::Release);
        self.nudge();
    }

    /// Everything that waits, in the JS thread. What arrives meanwhile is taken along, but not for ever: when drawing
    /// cannot keep up, the page's own work gets its turn in between.
    fn run(&self, js: &Caller) {
        let started = Instant::now();
        loop {
            if self.pass(js) == Called::EnvironmentGoing {
                return;
            }
            // Nudges during the pass were swallowed by the flag. The swap sees what they had made ready before.
            self.pending.swap(false, Ordering::AcqRel);
            if !self.has_work() || self.pending.swap(true, Ordering::AcqRel) {
                return;
            }
            if started.elapsed() > TURN_LIMIT {
                js.call(NO_VIEW, LATER, 0, 0);
                return;
            }
        }
    }

    /// One round: events, rings to make, frames to draw.
    fn pass(&self, js: &Caller) -> Called {
        if !self.events.is_empty() && js.call(NO_VIEW, EVENTS, 0, 0) == Called::EnvironmentGoing {
            return Called::EnvironmentGoing;
        }
        let views: Vec<_> = self.views.lock().iter().map(|(id, view)| (*id, view.clone())).collect();
        for (id, view) in views {
            if let Some((width, height)) = view.take_wanted_size()
                && js.call(id, NEW_RING, width, height) == Called::EnvironmentGoing
            {
                return Called::EnvironmentGoing;
            }
            let Some(drawing) = view.begin_drawing() else { continue };
            let called = js.call(id, drawing.slot as i32, 0, 0);
            view.end_drawing(&drawing, called == Called::Returned);
            if called == Called::EnvironmentGoing {
                return Called::EnvironmentGoing;
            }
        }
        Called::Returned
    }

    fn has_work(&self) -> bool {
        !self.events.is_empty() || self.views.lock().values().any(|view| view.has_work())
    }
}

fn create_wake_up(env: sys::napi_env, wake: sys::napi_value, hub: &Arc<Hub>) -> Result<WakeUp> {
    let mut name = ptr::null_mut();
    // SAFETY: `env` is the live environment of the calling JS thread; the text is 4 bytes long.
    check(unsafe { sys::napi_create_string_utf8(env, c"zego".as_ptr(), 4, &mut name) }, "name")?;
    let context = Weak::into_raw(Arc::downgrade(hub)).cast_mut().cast::<c_void>();
    let mut function = ptr::null_mut();
    // SAFETY: `wake` is a value of this environment, and `context` lives until `drop_context`, which runs once.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            env,
            wake,
            ptr::null_mut(),
            name,
            0,
            1,
            context,
            Some(drop_context),
            context,
            Some(on_wake_up),
            &mut function,
        )
    };
    check(status, "threadsafe function")?;
    // SAFETY: the function was made above. Unreferenced, so that a plain Node process may end.
    check(unsafe { sys::napi_unref_threadsafe_function(env, function) }, "unref")?;
    Ok(WakeUp(function))
}

/// Hooks run last in, first out: made right after the threadsafe function, ours runs before Node deletes that.
fn add_cleanup_hook(env: sys::napi_env, hub: &Arc<Hub>) -> Result<()> {
    // An own allocation per hook: Node aborts when a hook is added twice with the same argument.
    let argument = Box::into_raw(Box::new(hub.clone())).cast::<c_void>();
    // SAFETY: `argument` is given back once, by `on_environment_going`.
    check(unsafe { sys::napi_add_env_cleanup_hook(env, Some(on_environment_going), argument) }, "cleanup hook")
}

fn check(status: sys::napi_status, what: &str) -> Result<()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Error::new(Status::from(status), format!("Node-API refused: {what}")))
}

unsafe extern "C" fn on_environment_going(argument: *mut c_void) {
    // SAFETY: made by `add_cleanup_hook`, and Node calls a hook once.
    let hub = unsafe { Box::from_raw(argument.cast::<Arc<Hub>>()) };
    hub.close();
}

unsafe extern "C" fn drop_context(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: made by `create_wake_up`, and Node finalizes a threadsafe function once.
    drop(unsafe { Weak::from_raw(data.cast::<Hub>()) });
}

unsafe extern "C" fn on_wake_up(
    env: sys::napi_env,
    callback: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    // Node drains the queue without an environment when that is going; older versions after the finalizer, so the
    // context must not be touched before this.
    if env.is_null() || callback.is_null() {
        return;
    }
    // SAFETY: with an environment the finalizer has not run, so the weak reference is alive.
    let weak = std::mem::ManuallyDrop::new(unsafe { Weak::from_raw(context.cast::<Hub>().cast_const()) });
    let Some(hub) = weak.upgrade() else { return };
    if let Some(caller) = Caller::new(env, callback) {
        hub.run(&caller);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    Returned,
    Threw,
    EnvironmentGoing,
}

/// Calls the wake-up's JS function within one wake-up.
struct Caller {
    env: sys::napi_env,
    callback: sys::napi_value,
    this: sys::napi_value,
}

impl Caller {
    fn new(env: sys::napi_env, callback: sys::napi_value) -> Option<Self> {
        let mut this = ptr::null_mut();
        // SAFETY: `env` is the live environment that Node gave to the wake-up.
        let status = unsafe { sys::napi_get_undefined(env, &mut this) };
        (status == sys::Status::napi_ok).then_some(Self { env, callback, this })
    }

    fn call(&self, view: ViewId, slot: i32, width: u32, height: u32) -> Called {
        let mut scope = ptr::null_mut();
        // SAFETY: live environment. The scope keeps a long round over many views from piling up handles.
        if unsafe { sys::napi_open_handle_scope(self.env, &mut scope) } != sys::Status::napi_ok {
            return Called::EnvironmentGoing;
        }
        let called = self.call_in_scope(view, slot, width, height);
        // SAFETY: opened above.
        unsafe { sys::napi_close_handle_scope(self.env, scope) };
        called
    }

    fn call_in_scope(&self, view: ViewId, slot: i32, width: u32, height: u32) -> Called {
        let mut arguments = [ptr::null_mut(); 4];
        // SAFETY: live environment, the pointers are to locals.
        let made = unsafe {
            [
                sys::napi_create_uint32(self.env, view, &mut arguments[0]),
                sys::napi_create_int32(self.env, slot, &mut arguments[1]),
                sys::napi_create_uint32(self.env, width, &mut arguments[2]),
                sys::napi_create_uint32(self.env, height, &mut arguments[3]),
            ]
        };
        if made.iter().any(|status| *status != sys::Status::napi_ok) {
            return Called::EnvironmentGoing;
        }
        let mut result = ptr::null_mut();
        // SAFETY: the callback and the arguments are values of this environment, made in an open scope.
        let status =
            unsafe { sys::napi_call_function(self.env, self.this, self.callback, 4, arguments.as_ptr(), &mut result) };
        match status {
            sys::Status::napi_ok => Called::Returned,
            sys::Status::napi_pending_exception => {
                let mut exception = ptr::null_mut();
                // SAFETY: live environment. Left pending, the exception would make every further call fail.
                unsafe { sys::napi_get_and_clear_last_exception(self.env, &mut exception) };
                Called::Threw
            }
            _ => Called::EnvironmentGoing,
        }
    }
}
